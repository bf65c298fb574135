//! Settings of the introspection stage's training.

use ingrain_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::IntrospectionError;

/// Which of a transcript's trainable turns are in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossTurns {
    /// Every turn that the model generated (`corrected`).
    #[default]
    All,
    /// The last one only, as the released code does (`faithful`).
    Last,
}

/// How to learn from transcripts.
///
/// # Examples
/// ```
/// use ingrain_introspection::{LossTurns, SftConfig};
///
/// let config: SftConfig =
///     serde_json::from_str(r#"{"turns": "last", "training": {"batch_size": 8}}"#)?;
/// config.validate()?;
/// assert_eq!(config.turns, LossTurns::Last);
/// assert_eq!(config.max_length, 3072);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// Turns in the loss. Default all (the paper's code: last).
    pub turns: LossTurns,
    /// Longest conversation, in tokens, from 2; longer ones are shortened by whole turns from
    /// the end, and left out if no trainable turn remains. Default 3072 (paper: 3072).
    pub max_length: usize,
    /// Data order, optimiser, schedule, checkpoints. `batch_size` counts transcripts.
    pub training: TrainConfig,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self { turns: LossTurns::All, max_length: 3072, training: TrainConfig::default() }
    }
}

impl SftConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`IntrospectionError`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), IntrospectionError> {
        if self.max_length < 2 {
            return Err(IntrospectionError::Setting {
                key: "max_length",
                value: self.max_length.to_string(),
                expected: "a whole number from 2",
            });
        }
        Ok(self.training.validate()?)
    }
}
