//! Log-probabilities of given texts with the likeliest tokens in each place.

use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;

use super::Token;
use super::sampler::{likeliest, logprob};
use crate::{CausalLm, LmError, Overlay};

/// Positions whose logits exist at once; 128 rows of a 49,152-word vocabulary are 24 MiB.
const CHUNK: usize = 128;

/// A text as the model reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredText {
    /// Its tokens from the second on; nothing predicts the first.
    pub tokens: Vec<Token>,
    /// The likeliest tokens to come next, best first: at least one.
    pub next: Vec<(u32, f32)>,
}

impl CausalLm {
    /// Scores every token of several texts in one pass, with the `alternatives` likeliest tokens in each
    /// place.
    ///
    /// Texts of similar length keep padding small; many or long ones belong in several calls.
    ///
    /// # Errors
    /// [`LmError::Tokens`] or [`LmError::TooLong`] if one is empty, holds a token that the model does not
    /// have, or does not fit the context.
    pub fn score_texts<'a>(
        &self,
        texts: &[&[u32]],
        alternatives: usize,
        overlay: impl Into<Overlay<'a>>,
    ) -> Result<Vec<ScoredText>, LmError> {
        for (index, ids) in texts.iter().enumerate() {
            self.check_tokens(&format!("text {index}"), ids)?;
        }
        let seq = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        if seq == 0 {
            return Ok(Vec::new());
        }
        let mut padded = vec![0i32; texts.len() * seq];
        // Where each real token is, and what comes after it: nothing known behind the last.
        let mut places: Vec<(i32, Option<u32>)> = Vec::new();
        for (row, ids) in texts.iter().enumerate() {
            for (at, &id) in ids.iter().enumerate() {
                padded[row * seq + at] = id as i32;
                places.push(((row * seq + at) as i32, ids.get(at + 1).copied()));
            }
        }
        let data = TensorData::new(padded, [texts.len(), seq]);
        let hidden = self.hidden(Tensor::from_data(data, &self.device), overlay);
        let hidden = hidden.reshape([texts.len() * seq, self.config.hidden_size]);
        let mut found = Vec::with_capacity(places.len());
        for places in places.chunks(CHUNK) {
            found.extend(self.score_places(hidden.clone(), places, alternatives));
        }
        let mut found = found.into_iter();
        let mut take = |ids: &&[u32]| {
            let mut all: Vec<Token> = found.by_ref().take(ids.len()).collect();
            let next = all.pop().map(|token| token.alternatives).unwrap_or_default();
            ScoredText { tokens: all, next }
        };
        Ok(texts.iter().map(&mut take).collect())
    }

    /// What each of some positions of `hidden` says about the token that follows it.
    fn score_places(
        &self,
        hidden: Tensor<2>,
        places: &[(i32, Option<u32>)],
        alternatives: usize,
    ) -> Vec<Token> {
        let index: Vec<i32> = places.iter().map(|&(place, _)| place).collect();
        let index = TensorData::new(index, [places.len()]);
        let index = Tensor::<1, Int>::from_data(index, &self.device);
        let logits = self.read_out(hidden.select(0, index)).into_data();
        let logits = logits.convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
        let rows = logits.par_chunks(self.config.vocab_size).zip(places);
        rows.map(|(logits, &(_, id))| match id {
            Some(id) => Token {
                id,
                logprob: logprob(logits, id),
                alternatives: likeliest(logits, alternatives),
            },
            None => {
                let next = likeliest(logits, alternatives.max(1));
                Token { id: next[0].0, logprob: next[0].1, alternatives: next }
            }
        })
        .collect()
    }
}
