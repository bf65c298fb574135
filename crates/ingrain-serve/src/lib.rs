//! Pages of a run on the local machine.
//!
//! Here is blind annotation: [`Annotation`] knows which pairs of replies a rater has still to judge, in
//! which order and on which side, and keeps the labels; [`AnnotationServer`] shows them in a browser,
//! on the loopback address alone. A label file is what
//! [`read_labels`](ingrain_judge::read_labels) reads.
//!
//! This crate knows no model.

mod annotate;
mod error;

pub use annotate::{Annotation, AnnotationServer, Answer, Item, Progress};
pub use error::ServeError;
