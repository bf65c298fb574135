//! Token sequences with their loss mask, and right-padded batches of them.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Token ids and, for each, whether it is a completion token: one that is predicted and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSequence {
    /// The whole text, prompt and completion.
    pub ids: Vec<u32>,
    /// One flag a token. The first token cannot be a completion token: nothing predicts it.
    pub completion: Vec<bool>,
}

impl TokenSequence {
    /// A prompt followed by a completion.
    #[must_use]
    pub fn from_parts(prompt: &[u32], completion: &[u32]) -> Self {
        let mut ids = prompt.to_vec();
        ids.extend_from_slice(completion);
        let completion = (0..ids.len()).map(|i| i >= prompt.len() && i > 0).collect();
        Self { ids, completion }
    }

    /// Number of completion tokens that something predicts.
    #[must_use]
    pub fn completion_len(&self) -> usize {
        self.completion.iter().skip(1).filter(|&&c| c).count()
    }
}

/// A right-padded batch and the places where completion tokens are predicted.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// `[batch, seq]`, padded with 0; causal attention keeps pads away from real tokens.
    pub tokens: Tensor<2, Int>,
    /// Flat indices into `batch * seq` of the tokens *before* each completion token.
    pub positions: Tensor<1, Int>,
    /// The completion tokens, in the order of `positions`.
    pub targets: Tensor<1, Int>,
    /// Completion tokens of each sequence; `positions` holds them one sequence after the other.
    pub counts: Vec<usize>,
}

impl TokenBatch {
    /// Lays sequences out side by side.
    #[must_use]
    pub fn new(sequences: &[&TokenSequence], device: &Device) -> Self {
        let batch = sequences.len();
        // The last token of a sequence predicts nothing; it is dropped unless it stands alone.
        let seq = sequences.iter().map(|s| s.ids.len()).max().unwrap_or(1).saturating_sub(1).max(1);
        let mut tokens = vec![0i32; batch * seq];
        let (mut positions, mut targets, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (row, sequence) in sequences.iter().enumerate() {
            for (column, &id) in sequence.ids.iter().take(seq).enumerate() {
                tokens[row * seq + column] = id as i32;
            }
            let before = positions.len();
            let predicted = sequence.ids.iter().zip(&sequence.completion).enumerate().skip(1);
            for (column, (&id, _)) in predicted.filter(|(_, (_, is))| **is) {
                positions.push((row * seq + column - 1) as i32);
                targets.push(id as i32);
            }
            counts.push(positions.len() - before);
        }
        let flat = |v: Vec<i32>| {
            let len = v.len();
            Tensor::<1, Int>::from_data(TensorData::new(v, [len]), device)
        };
        Self {
            tokens: Tensor::from_data(TensorData::new(tokens, [batch, seq]), device),
            positions: flat(positions),
            targets: flat(targets),
            counts,
        }
    }

    /// Tokens that the decoder runs over, padding included.
    #[must_use]
    pub fn padded_tokens(&self) -> usize {
        self.tokens.dims().iter().product()
    }
}
