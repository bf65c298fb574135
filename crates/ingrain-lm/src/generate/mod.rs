//! Batched generation with a key-value cache.
//!
//! [`Batch`] is the machine: rows join it when a slot of the cache is free, each step gives every row
//! one token, and rows leave as they finish. [`Generator`] drives one for a list of prompts; a server
//! drives one for as long as it lives. What a row draws depends on its own seed alone.

mod batch;
mod choice;
mod generator;
mod prompt;
mod row;
mod sampler;
mod score;
mod slots;
mod text;

pub use batch::{Batch, OnToken};
pub use choice::Choice;
pub(crate) use choice::Chooser;
pub use generator::Generator;
pub use prompt::{Generation, Prompt, Token};
pub use score::ScoredText;
pub use text::ReplyText;
