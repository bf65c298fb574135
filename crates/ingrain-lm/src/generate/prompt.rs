//! What goes in and what comes out.

use std::sync::Arc;

use ingrain_chat::{FinishReason, Sampling};

use crate::Variant;

/// A tokenised prompt and how to continue it.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Token ids, at least one.
    pub ids: Vec<u32>,
    /// How to sample; texts under `stop` are the caller's business (see [`crate::ReplyText`]).
    pub sampling: Sampling,
    /// What is laid over the weights for this prompt. `None` is whatever runs the prompt has.
    pub variant: Option<Arc<Variant>>,
    /// How many of the likeliest tokens to report beside each chosen one. Default 0.
    pub alternatives: usize,
}

impl Prompt {
    /// A prompt for whatever runs it.
    #[must_use]
    pub fn new(ids: Vec<u32>, sampling: Sampling) -> Self {
        Self { ids, sampling, variant: None, alternatives: 0 }
    }
}

/// A token that was chosen, or given.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Which.
    pub id: u32,
    /// Its log-probability under the model itself, before penalty and temperature; nats.
    pub logprob: f32,
    /// The likeliest tokens in its place with theirs, best first, as many as were asked for.
    pub alternatives: Vec<(u32, f32)>,
}

/// What a model made of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// New tokens, the one that ended the turn included.
    pub token_ids: Vec<u32>,
    /// Log-probability of each under the model itself, before penalty and temperature; nats.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}
