//! Messages, sampling and the seam to any chat model.
//!
//! [`ChatModel`] is batch first and synchronous: whoever implements it may batch, thread or run
//! requests over a network inside. Replies arrive one by one, each tagged with its request's index,
//! so that a caller can write each one down at once.
//!
//! [`Cached`] puts a journal on disk in front of any model; [`Recorded`] answers from a file;
//! [`Scripted`] and [`ScriptedScorer`] are for tests. Behind the feature `openai`, module `openai`
//! holds the client of OpenAI-compatible servers. This crate knows no tokenizer and no tensor.

mod cached;
mod error;
pub mod journal;
mod message;
mod model;
mod occurrence;
#[cfg(feature = "openai")]
pub mod openai;
mod price;
mod recorded;
mod scripted;

pub use cached::{Cached, CachedReply};
pub use error::ChatError;
pub use message::{Message, Role};
pub use model::{
    ChatModel, ChatReply, ChatRequest, FinishReason, Sampling, Score, ScoreRequest, Scorer,
};
#[cfg(feature = "openai")]
pub use openai::OpenAiClient;
pub use price::{Account, Budget, Metered, Price, Prices, Spent};
pub use recorded::{Recorded, RecordedReply};
pub use scripted::{Scripted, ScriptedScorer};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
