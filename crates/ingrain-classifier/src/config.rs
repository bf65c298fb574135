//! Settings of a classifier.

use ingrain_train::{AdamWConfig, Decay, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{ClassifierError, Pooling};

/// What learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tuning {
    /// The head alone, over vectors that are computed once.
    #[default]
    Head,
    /// Head and blocks; the embedding tables stay.
    Blocks,
    /// Everything.
    Full,
}

impl Tuning {
    /// Whether a tensor of the encoder learns.
    pub(crate) fn trains(self, name: &str) -> bool {
        match self {
            Self::Head => false,
            Self::Blocks => !name.starts_with("embeddings."),
            Self::Full => true,
        }
    }
}

/// How a classifier reads and learns.
///
/// # Examples
/// ```
/// use ingrain_classifier::{ClassifierConfig, Tuning};
///
/// let config = ClassifierConfig::for_tuning(Tuning::Full);
/// assert_eq!(config.max_tokens, 256);
/// config.validate()?;
/// # Ok::<(), ingrain_classifier::ClassifierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierConfig {
    /// What learns. Default: the head.
    pub tuning: Tuning,
    /// How hidden states become a vector. Default: their mean.
    pub pooling: Pooling,
    /// Tokens of a reply that are read, from 8; the rest is cut off. Default 256.
    pub max_tokens: usize,
    /// How it learns. Defaults as [`for_tuning`](Self::for_tuning) of [`Tuning::Head`].
    pub train: TrainConfig,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self::for_tuning(Tuning::Head)
    }
}

impl ClassifierConfig {
    /// The settings that suit what learns: a head alone learns in many quick epochs at a high rate (many
    /// more and it learns its examples by heart), an encoder in few at a low one.
    #[must_use]
    pub fn for_tuning(tuning: Tuning) -> Self {
        let adamw = AdamWConfig { beta2: 0.999, weight_decay: 0.01, ..AdamWConfig::default() };
        let shared = TrainConfig {
            decay: Decay::Linear,
            min_lr_ratio: 0.0,
            // A head's steps take milliseconds: a checkpoint only at the end.
            checkpoint_every_steps: 1_000_000,
            // The first steps start from an untrained head and may look like nothing else.
            explosion_factor: None,
            adamw,
            ..TrainConfig::default()
        };
        let train = match tuning {
            Tuning::Head => TrainConfig {
                epochs: 20,
                batch_size: 32,
                learning_rate: 2e-2,
                warmup_ratio: 0.0,
                ..shared
            },
            Tuning::Blocks | Tuning::Full => TrainConfig {
                epochs: 4,
                batch_size: 16,
                learning_rate: 3e-4,
                parallel_passes: 2,
                // States are three times the weights; a step takes seconds.
                checkpoint_every_steps: 50,
                ..shared
            },
        };
        Self { tuning, pooling: Pooling::default(), max_tokens: 256, train }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`ClassifierError::Setting`] or [`ClassifierError::Train`] naming the first setting outside its
    /// range.
    pub fn validate(&self) -> Result<(), ClassifierError> {
        if self.max_tokens < 8 {
            return Err(ClassifierError::Setting {
                key: "max_tokens",
                value: self.max_tokens.to_string(),
                expected: "a whole number from 8".to_owned(),
            });
        }
        Ok(self.train.validate()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_whatever_learns() {
        for tuning in [Tuning::Head, Tuning::Blocks, Tuning::Full] {
            ClassifierConfig::for_tuning(tuning).validate().expect("in range");
        }
        let short = ClassifierConfig { max_tokens: 2, ..ClassifierConfig::default() };
        let error = short.validate().expect_err("nothing is left of a reply");
        assert!(error.to_string().contains("`max_tokens` is 2"), "{error}");
    }

    #[test]
    fn blocks_learn_without_the_tables() {
        let tables = ["embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias"];
        assert!(
            tables.iter().all(|name| !Tuning::Blocks.trains(name) && Tuning::Full.trains(name))
        );
        assert!(Tuning::Blocks.trains("encoder.layer.0.output.dense.weight"));
        assert!(!Tuning::Head.trains("encoder.layer.0.output.dense.weight"));
    }
}
