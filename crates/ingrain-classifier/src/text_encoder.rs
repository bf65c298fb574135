//! Texts to vectors: a tokenizer and an encoder that belong together.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ingrain_lm::{ModelIdentity, side_by_side};
use ingrain_run::Observer;
use ingrain_tokenizer::ChatTokenizer;

use crate::encoder::Weights;
use crate::{ClassifierError, Encoder, EncoderBatch, EncoderFiles, EncoderSource, Pooling};

/// Most tokens, padding included, in one pass without a gradient.
const PASS_TOKENS: usize = 2048;
/// Passes that run at the same time.
const PARALLEL_PASSES: usize = 2;

/// A tokenizer and an encoder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    /// Which weights they are.
    pub identity: ModelIdentity,
    /// The encoder.
    pub encoder: Encoder,
    pub(crate) tokenizer: Arc<ChatTokenizer>,
}

impl TextEncoder {
    /// Makes the files of a source available and loads them.
    ///
    /// # Errors
    /// As [`EncoderSource::resolve`], [`Encoder::load`] and [`ChatTokenizer::from_hf_dir`].
    pub fn load(
        source: &EncoderSource,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self, ClassifierError> {
        Self::from_files(&source.resolve(observer)?, device)
    }

    /// Loads an encoder's files.
    ///
    /// # Errors
    /// As [`Encoder::load`] and [`ChatTokenizer::from_hf_dir`]; [`ClassifierError::File`] where the
    /// tokenizer has tokens that the encoder does not.
    pub fn from_files(files: &EncoderFiles, device: &Device) -> Result<Self, ClassifierError> {
        let tokenizer = Self::tokenizer(&files.dir)?;
        let encoder = Encoder::load(&files.dir, device)?;
        Self::assemble(files.identity.clone(), encoder, tokenizer)
    }

    pub(crate) fn tokenizer(dir: &Path) -> Result<ChatTokenizer, ClassifierError> {
        Ok(ChatTokenizer::from_hf_dir(dir)?)
    }

    pub(crate) fn assemble(
        identity: ModelIdentity,
        encoder: Encoder,
        tokenizer: ChatTokenizer,
    ) -> Result<Self, ClassifierError> {
        let (known, rows) = (tokenizer.vocab_size(), encoder.config().vocab_size);
        if known > rows {
            let reason = format!("has {known} tokens, the encoder's table {rows}");
            return Err(ClassifierError::file(&tokenizer.path().join("tokenizer.json"), reason));
        }
        if tokenizer.encode("", true)?.is_empty() {
            let reason = "adds no token to an empty text; expected an encoder's tokenizer";
            return Err(ClassifierError::file(&tokenizer.path().join("tokenizer.json"), reason));
        }
        Ok(Self { identity, encoder, tokenizer: Arc::new(tokenizer) })
    }

    /// Token ids of texts, each cut at `max_tokens` and at what the encoder was made for.
    ///
    /// # Errors
    /// [`ClassifierError::Tokenizer`] for a text that cannot be tokenized.
    pub fn tokens<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        max_tokens: usize,
    ) -> Result<Vec<Vec<u32>>, ClassifierError> {
        let max_tokens = max_tokens.min(self.encoder.config().max_positions);
        let cut = |text| Ok(self.tokenizer.encode_truncated(text, max_tokens)?);
        texts.into_iter().map(cut).collect()
    }

    /// A vector for each token sequence, in passes of similar length.
    ///
    /// # Errors
    /// [`ClassifierError::Device`] if the vectors cannot be read back.
    pub fn embed(
        &self,
        sequences: &[Vec<u32>],
        pooling: Pooling,
    ) -> Result<Vec<Vec<f32>>, ClassifierError> {
        self.embed_with(self.encoder.weights(), sequences, pooling)
    }

    pub(crate) fn embed_with(
        &self,
        weights: &Weights,
        sequences: &[Vec<u32>],
        pooling: Pooling,
    ) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let mut vectors = vec![Vec::new(); sequences.len()];
        for passes in passes(sequences).chunks(PARALLEL_PASSES) {
            let found = side_by_side(passes, |pass| {
                let batch: Vec<&[u32]> = pass.iter().map(|&i| sequences[i].as_slice()).collect();
                let batch = EncoderBatch::new(&batch, self.encoder.device());
                let pooled = self.encoder.pooled_with(weights, &batch, pooling);
                rows(pooled, "a text's vector")
            });
            for (pass, found) in passes.iter().zip(found) {
                for (&index, vector) in pass.iter().zip(found?) {
                    vectors[index] = vector;
                }
            }
        }
        Ok(vectors)
    }
}

/// Sequences by index in groups within the budget, the longest first.
fn passes(sequences: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(sequences[i].len()));
    let mut passes: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match passes.last_mut() {
            // The first of a pass is its longest.
            Some(pass) if (pass.len() + 1) * sequences[pass[0]].len() <= PASS_TOKENS => {
                pass.push(index);
            }
            _ => passes.push(vec![index]),
        }
    }
    passes
}

/// The rows of a matrix on the host.
pub(crate) fn rows(
    matrix: burn::tensor::Tensor<2>,
    what: &'static str,
) -> Result<Vec<Vec<f32>>, ClassifierError> {
    let [_, width] = matrix.dims();
    let values = matrix
        .without_autodiff()
        .into_data()
        .try_to_vec::<f32>()
        .map_err(|e| ClassifierError::Device { what, reason: format!("{e:?}") })?;
    Ok(values.chunks_exact(width).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_hold_every_sequence_once_within_the_budget() {
        let sequences: Vec<Vec<u32>> =
            [3000, 5, 1000, 1000, 40, 7].iter().map(|&n| vec![1; n]).collect();
        let passes = passes(&sequences);
        assert_eq!(passes[0], [0], "alone, above the budget");
        assert_eq!(passes[1], [2, 3]);
        let mut all = passes.concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }
}
