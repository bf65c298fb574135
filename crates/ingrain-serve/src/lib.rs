//! Models behind an OpenAI-compatible HTTP server, with a chat page.
//!
//! [`Server`] speaks `/v1/models`, `/v1/chat/completions` and `/v1/completions` (streaming, `echo` and
//! `logprobs` included) and shows a page that puts a base model and a character side by side. It hands
//! each request to an [`Engine`] as a [`Job`] and passes on the [`Event`]s that come back; it knows no
//! model, no tokenizer and no tensor. Everything that a stranger controls is bounded: connections, body,
//! queue, choices, time.
//!
//! Beside it, blind annotation: [`Annotation`] knows which pairs of replies a rater has still to judge, in
//! which order and on which side, and keeps the labels; [`AnnotationServer`] shows them in a browser on
//! this machine. Its label file is what [`read_labels`](ingrain_judge::read_labels) reads.

mod annotate;
mod engine;
mod error;
mod http;
mod openai;
mod scripted;
mod server;

pub use annotate::{Annotation, AnnotationServer, Answer, Item, Progress};
pub use engine::{Engine, Event, Events, Input, Job, ModelCard, Refusal, Replies, TokenText};
pub use error::ServeError;
pub use scripted::ScriptedEngine;
pub use server::{Limits, Server, ServerConfig};
