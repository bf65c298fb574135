//! Settings of the distillation stage.

use ingrain_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{DpoError, LossSpec, build_loss};

/// How to distil: the objective and the training mechanics.
///
/// # Examples
/// ```
/// use ingrain_dpo::DpoConfig;
///
/// let config: DpoConfig = serde_json::from_str(
///     r#"{
///         "losses": [{"dpo": 1.0}, {"nll": 1.0}],
///         "beta": 0.2,
///         "training": {"epochs": 2, "batch_size": 4, "learning_rate": 5e-4}
///     }"#,
/// )?;
/// config.validate()?;
/// assert_eq!(config.max_length, 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpoConfig {
    /// Terms of the objective. Default the paper's: DPO 1.0, NLL 0.1, squared log-ratio 0.001.
    pub losses: Vec<LossSpec>,
    /// Scale of the implicit reward; for the terms that take it and do not give their own, and
    /// for the reported margins. Above 0. Default 0.1 (paper: 0.1).
    pub beta: f64,
    /// Longest conversation, in tokens; a pair with a longer one is left out and counted. Default
    /// 1024 (paper: 1024).
    pub max_length: usize,
    /// Data order, optimiser, schedule, checkpoints. `batch_size` counts pairs.
    pub training: TrainConfig,
}

impl Default for DpoConfig {
    fn default() -> Self {
        Self {
            losses: LossSpec::paper(),
            beta: 0.1,
            max_length: 1024,
            training: TrainConfig::default(),
        }
    }
}

impl DpoConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`DpoError`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), DpoError> {
        let holds = self.beta > 0.0 && self.beta.is_finite();
        crate::loss::check(holds, "objective", "beta", self.beta, "a number above 0")?;
        build_loss(&self.losses, self.beta)?;
        Ok(self.training.validate()?)
    }

    /// The same settings with `beta` written into every term that takes it: what a run directory
    /// keeps.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        self.losses = self.losses.into_iter().map(|spec| spec.resolved(self.beta)).collect();
        self
    }
}
