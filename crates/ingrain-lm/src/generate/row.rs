//! One request on its way.

use std::sync::Arc;

use ingrain_chat::FinishReason;

use super::sampler::{Sampler, likeliest};
use super::{Generation, Prompt, Token};
use crate::Variant;

#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: u64,
    /// The prompt's tokens, then the new ones.
    pub(super) tokens: Vec<u32>,
    pub(super) prompt_len: usize,
    pub(super) variant: Arc<Variant>,
    /// Where its keys and values are, once it has been read.
    pub(super) slot: usize,
    pub(super) finish: Option<FinishReason>,
    /// New tokens wanted at most.
    limit: usize,
    alternatives: usize,
    logprobs: Vec<f32>,
    sampler: Sampler,
}

impl Row {
    /// `room` is how many tokens the context still holds behind the prompt.
    pub(super) fn new(
        id: u64,
        prompt: Prompt,
        default: &Arc<Variant>,
        vocab: usize,
        room: usize,
    ) -> Self {
        let limit = prompt.sampling.max_new_tokens.min(room);
        Self {
            id,
            prompt_len: prompt.ids.len(),
            variant: prompt.variant.unwrap_or_else(|| default.clone()),
            slot: 0,
            finish: (limit == 0).then_some(FinishReason::Length),
            limit,
            alternatives: prompt.alternatives,
            logprobs: Vec::new(),
            sampler: Sampler::new(&prompt.sampling, &prompt.ids, vocab),
            tokens: prompt.ids,
        }
    }

    /// Chooses the next token.
    pub(super) fn take(&mut self, logits: &mut [f32], stop_ids: &[u32]) -> Token {
        let alternatives = likeliest(logits, self.alternatives);
        let (id, logprob) = self.sampler.next(logits);
        self.tokens.push(id);
        self.logprobs.push(logprob);
        if stop_ids.contains(&id) {
            self.finish = Some(FinishReason::Stop);
        } else if self.new_tokens().len() >= self.limit {
            self.finish = Some(FinishReason::Length);
        }
        Token { id, logprob, alternatives }
    }

    pub(super) fn new_tokens(&self) -> &[u32] {
        &self.tokens[self.prompt_len..]
    }

    pub(super) fn into_generation(mut self) -> Generation {
        Generation {
            token_ids: self.tokens.split_off(self.prompt_len),
            logprobs: self.logprobs,
            finish: self.finish.unwrap_or(FinishReason::Length),
        }
    }
}
