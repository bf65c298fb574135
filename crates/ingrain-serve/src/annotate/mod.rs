//! Blind annotation of pairs of replies.

mod pairs;
mod server;
mod sheet;

pub use server::AnnotationServer;
pub use sheet::{Annotation, Answer, Item, Progress};
