//! The decoding loop.

use std::ops::Range;

use ingrain_chat::{FinishReason, Sampling};
use ingrain_run::Interrupt;
use rayon::prelude::*;

use super::sampler::Sampler;
use crate::layers::KvCache;
use crate::{Adapter, CausalLm, LmError};

/// A tokenised prompt and how to continue it.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Token ids, at least one.
    pub ids: Vec<u32>,
    /// How to sample; texts under `stop` are the caller's business (see [`Generator::run`]).
    pub sampling: Sampling,
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

/// Continues many prompts at once.
///
/// Prompts are sorted by length and run in batches, padded on the right; each row carries its own
/// random stream, so a request's reply depends on its seed and not on its neighbours (up to ties
/// between the two best tokens closer than rounding).
#[derive(Clone, Debug)]
pub struct Generator<'a> {
    /// The model.
    pub model: &'a CausalLm,
    /// Its adapter, if any.
    pub adapter: Option<&'a Adapter>,
    /// Tokens that end a reply.
    pub stop_ids: &'a [u32],
    /// Rows decoded together. More is faster until memory bandwidth no longer binds.
    pub max_batch: usize,
    /// Looked at between tokens.
    pub interrupt: Interrupt,
}

impl Generator<'_> {
    /// Runs all prompts; calls `on_done` with the index of each as it finishes.
    ///
    /// `halt` sees a request's index and its tokens after each new one, and ends it by returning
    /// `true`: this is where stop texts are looked for. After an interrupt, unfinished requests get no
    /// call.
    ///
    /// # Errors
    /// Before anything is generated: [`LmError::Tokens`] if a prompt is empty or holds a token that the
    /// model does not have, [`LmError::TooLong`] if it fills the whole context.
    pub fn run(
        &self,
        prompts: &[Prompt],
        halt: &dyn Fn(usize, &[u32]) -> bool,
        on_done: &mut dyn FnMut(usize, Generation),
    ) -> Result<(), LmError> {
        for (index, prompt) in prompts.iter().enumerate() {
            let what = format!("prompt {index}");
            self.model.check_tokens(&what, &prompt.ids)?;
            self.model.check_length(&what, prompt.ids.len() + 1)?;
        }
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.sort_by_key(|&i| prompts[i].ids.len());
        for batch in order.chunks(self.max_batch.max(1)) {
            if self.interrupt.is_requested() {
                break;
            }
            self.run_batch(batch, prompts, halt, on_done);
        }
        Ok(())
    }

    fn run_batch(
        &self,
        indices: &[usize],
        prompts: &[Prompt],
        halt: &dyn Fn(usize, &[u32]) -> bool,
        on_done: &mut dyn FnMut(usize, Generation),
    ) {
        let vocab = self.model.config().vocab_size;
        let context = self.model.config().max_position;
        let mut rows: Vec<Row<'_>> =
            indices.iter().map(|&i| Row::new(i, &prompts[i], vocab, context)).collect();
        let width = rows.iter().map(|r| r.prompt.ids.len()).max().unwrap_or(0);
        let new_tokens = rows.iter().map(|r| r.limit).max().unwrap_or(0);
        let mut cache =
            KvCache::new(self.model.config(), rows.len(), width + new_tokens, self.model.device());
        let ids: Vec<&[u32]> = rows.iter().map(|r| r.prompt.ids.as_slice()).collect();
        let mut logits = self.model.prefill(&ids, self.adapter, &mut cache);
        loop {
            let mut values = logits.into_data().try_into_vec::<f32>().unwrap_or_default();
            rows.par_iter_mut().zip(values.par_chunks_mut(vocab)).for_each(|(row, logits)| {
                row.take(logits, self.stop_ids);
            });
            for row in rows.iter_mut().filter(|r| r.finish.is_none()) {
                if halt(row.index, &row.tokens) {
                    row.finish = Some(FinishReason::Stop);
                }
            }
            let keep: Vec<usize> = (0..rows.len()).filter(|&r| rows[r].finish.is_none()).collect();
            if keep.len() < rows.len() {
                for row in rows.iter_mut().filter(|r| r.finish.is_some()) {
                    on_done(row.index, row.generation());
                }
                rows.retain(|r| r.finish.is_none());
                if rows.is_empty() {
                    return;
                }
                cache.keep_rows(&keep);
            }
            if self.interrupt.is_requested() {
                return;
            }
            let tokens: Vec<u32> = rows.iter().filter_map(|r| r.tokens.last().copied()).collect();
            let positions = rows.iter().map(|r| r.prompt.ids.len() + r.tokens.len() - 1).collect();
            let gaps: Vec<Range<usize>> = rows.iter().map(|r| r.prompt.ids.len()..width).collect();
            logits = self.model.decode(&tokens, positions, &gaps, self.adapter, &mut cache);
        }
    }
}

/// One request on its way.
struct Row<'a> {
    index: usize,
    prompt: &'a Prompt,
    sampler: Sampler<'a>,
    tokens: Vec<u32>,
    logprobs: Vec<f32>,
    limit: usize,
    finish: Option<FinishReason>,
}

impl<'a> Row<'a> {
    fn new(index: usize, prompt: &'a Prompt, vocab: usize, context: usize) -> Self {
        let room = context - prompt.ids.len();
        Self {
            index,
            prompt,
            sampler: Sampler::new(&prompt.sampling, &prompt.ids, vocab),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            limit: prompt.sampling.max_new_tokens.min(room).max(1),
            finish: None,
        }
    }

    fn take(&mut self, logits: &mut [f32], stop_ids: &[u32]) {
        let (token, logprob) = self.sampler.next(logits);
        self.tokens.push(token);
        self.logprobs.push(logprob);
        if stop_ids.contains(&token) {
            self.finish = Some(FinishReason::Stop);
        } else if self.tokens.len() >= self.limit {
            self.finish = Some(FinishReason::Length);
        }
    }

    fn generation(&mut self) -> Generation {
        Generation {
            token_ids: std::mem::take(&mut self.tokens),
            logprobs: std::mem::take(&mut self.logprobs),
            finish: self.finish.unwrap_or(FinishReason::Length),
        }
    }
}
