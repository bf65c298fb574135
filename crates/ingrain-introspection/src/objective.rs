//! What a batch of transcripts costs an adapter.

use ingrain_lm::{CausalLm, Policy, TokenBatch, TokenSequence};
use ingrain_train::{Cost, ExampleSize, Metrics, Objective, TrainError, fingerprint};

use crate::TokenizedTranscript;

/// Cross-entropy of transcripts, as an [`Objective`] over adapters or other policies.
///
/// The loss of a batch is the sum of `-log pi` over its completion tokens and its weight their
/// number, so that a step's loss is the mean over the *tokens* of the whole optimiser batch,
/// however it is cut into micro-batches.
#[derive(Clone, Copy, Debug)]
pub struct SftObjective<'a> {
    /// The model that the adapter is applied to.
    pub model: &'a CausalLm,
    /// Names the model's weights (hub revision or sha256).
    pub base: &'a str,
    /// The data.
    pub transcripts: &'a [TokenizedTranscript],
}

impl SftObjective<'_> {
    /// Sizes of the transcripts, for batching.
    #[must_use]
    pub fn sizes(&self) -> Vec<ExampleSize> {
        let size = |t: &TokenizedTranscript| ExampleSize { rows: 1, width: t.sequence.ids.len() };
        self.transcripts.iter().map(size).collect()
    }
}

impl<P: Policy> Objective<P> for SftObjective<'_> {
    fn cost(&self, examples: &[usize], policy: &P) -> Result<Cost, TrainError> {
        let sequences: Vec<&TokenSequence> =
            examples.iter().map(|&i| &self.transcripts[i].sequence).collect();
        let batch = TokenBatch::new(&sequences, self.model.device());
        let loss = policy.completion_logprobs(self.model, &batch).sum().neg();
        let completion_tokens = batch.counts.iter().sum::<usize>() as f64;
        let mut metrics = Metrics::default();
        metrics.add("completion_tokens", completion_tokens, examples.len() as f64);
        let tokens = sequences.iter().map(|s| s.ids.len() as u64).sum();
        Ok(Cost { loss, weight: completion_tokens, tokens, metrics })
    }

    fn example_name(&self, example: usize) -> String {
        self.transcripts.get(example).map_or_else(|| format!("#{example}"), |t| t.id.clone())
    }

    fn fingerprint(&self) -> String {
        let mut parts = vec![self.base.as_bytes().to_vec()];
        for TokenizedTranscript { sequence, .. } in self.transcripts {
            parts.push(sequence.ids.iter().flat_map(|id| id.to_le_bytes()).collect());
            parts.push(sequence.completion.iter().map(|&is| u8::from(is)).collect());
        }
        fingerprint(parts)
    }
}
