//! Settings that every trainer shares.

use serde::{Deserialize, Serialize};

use crate::{AdamWConfig, Batching, Decay, EvaluationConfig, Schedule, TrainError};

/// How to train: data order, optimiser, schedule, checkpoints.
///
/// Defaults are the paper's values for distillation.
///
/// # Examples
/// ```
/// use ingrain_train::TrainConfig;
///
/// let config: TrainConfig = serde_json::from_str(r#"{"epochs": 3, "batch_size": 4}"#)?;
/// assert_eq!(config.learning_rate, 5e-5);
/// config.validate()?;
/// assert!(serde_json::from_str::<TrainConfig>(r#"{"epoch": 3}"#).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the data, from 1. Default 1 (paper: 1).
    pub epochs: u64,
    /// Examples of one optimiser step: pairs for DPO, transcripts for SFT; from 1. Default 32
    /// (paper: 32).
    pub batch_size: usize,
    /// Most tokens, padding included, in one forward and backward pass; bounds memory and does
    /// not change the gradient. Default 1024.
    pub micro_batch_tokens: usize,
    /// Micro-batches that run at the same time, each in a thread of its own, from 1. Memory grows
    /// with it; the gradient does not change. For processors whose element-wise work uses one core.
    /// Default 1.
    pub parallel_passes: usize,
    /// Whether backward passes compute the inside of each block again instead of keeping it: a small
    /// part of the memory for about a third more time, with the same gradients. Default false.
    pub recompute_blocks: bool,
    /// Batches' worth of examples that are sorted by length together, from 1 (random batches).
    /// Default 8.
    pub length_window_batches: usize,
    /// Highest learning rate, above 0. Default 5e-5 (paper: 5e-5).
    pub learning_rate: f64,
    /// Share of all steps that the rate rises over, 0 to 1. Default 0.1 (paper: 0.1).
    pub warmup_ratio: f64,
    /// Rate at the end as a share of the highest, 0 to 1. Default 0.1 (paper: 0.1).
    pub min_lr_ratio: f64,
    /// Shape of the fall in between. Default cosine (paper: cosine).
    pub decay: Decay,
    /// Longest gradient, as a norm over all parameters; longer ones are shortened to it. Above
    /// 0. Default 1.0 (paper: 1.0).
    pub max_grad_norm: f64,
    /// A step whose loss is above this many times the highest running mean so far stops the run; above
    /// 1. Default 20; none switches the check off.
    pub explosion_factor: Option<f64>,
    /// Held-out examples, early stopping, best weights.
    pub evaluation: EvaluationConfig,
    /// The optimiser's own settings.
    pub adamw: AdamWConfig,
    /// Seed of the data order. Default 123456 (paper: 123456).
    pub seed: u64,
    /// Steps between checkpoints, from 1. Default 20.
    pub checkpoint_every_steps: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 32,
            micro_batch_tokens: 1024,
            parallel_passes: 1,
            recompute_blocks: false,
            length_window_batches: 8,
            learning_rate: 5e-5,
            warmup_ratio: 0.1,
            min_lr_ratio: 0.1,
            decay: Decay::Cosine,
            max_grad_norm: 1.0,
            explosion_factor: Some(20.0),
            evaluation: EvaluationConfig::default(),
            adamw: AdamWConfig::default(),
            seed: 123_456,
            checkpoint_every_steps: 20,
        }
    }
}

impl TrainConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), TrainError> {
        let count = |key, value: u64| check(value >= 1, key, value, "a whole number from 1");
        let positive = |key, value: f64| {
            check(value > 0.0 && value.is_finite(), key, value, "a number above 0")
        };
        let share = |key, value| check((0.0..=1.0).contains(&value), key, value, "0 to 1");
        let decay = |key, value| check((0.0..1.0).contains(&value), key, value, "0 to below 1");
        count("epochs", self.epochs)?;
        count("batch_size", self.batch_size as u64)?;
        count("micro_batch_tokens", self.micro_batch_tokens as u64)?;
        count("parallel_passes", self.parallel_passes as u64)?;
        count("length_window_batches", self.length_window_batches as u64)?;
        count("checkpoint_every_steps", self.checkpoint_every_steps)?;
        positive("learning_rate", self.learning_rate)?;
        positive("max_grad_norm", self.max_grad_norm)?;
        positive("adamw.epsilon", self.adamw.epsilon)?;
        if let Some(factor) = self.explosion_factor {
            check(factor > 1.0, "explosion_factor", factor, "a number above 1, or none")?;
        }
        let share_held_out = self.evaluation.share;
        let holds = (0.0..1.0).contains(&share_held_out);
        check(holds, "evaluation.share", share_held_out, "0 to below 1")?;
        count("evaluation.every_steps", self.evaluation.every_steps)?;
        share("warmup_ratio", self.warmup_ratio)?;
        share("min_lr_ratio", self.min_lr_ratio)?;
        decay("adamw.beta1", self.adamw.beta1)?;
        decay("adamw.beta2", self.adamw.beta2)?;
        let wd = self.adamw.weight_decay;
        check(wd >= 0.0 && wd.is_finite(), "adamw.weight_decay", wd, "a number from 0")
    }

    /// The learning rate's course.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warmup_ratio: self.warmup_ratio,
            min_lr_ratio: self.min_lr_ratio,
            decay: self.decay,
        }
    }

    /// The data order's settings.
    #[must_use]
    pub fn batching(&self) -> Batching {
        Batching {
            batch_size: self.batch_size,
            micro_batch_tokens: self.micro_batch_tokens,
            window_batches: self.length_window_batches,
            seed: self.seed,
        }
    }
}

fn check(
    holds: bool,
    key: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> Result<(), TrainError> {
    if holds {
        Ok(())
    } else {
        Err(TrainError::Setting { key, value: value.to_string(), expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        TrainConfig::default().validate().expect("defaults are in range");
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_what_was_expected() {
        let message = |config: TrainConfig| config.validate().expect_err("invalid").to_string();
        assert_eq!(
            message(TrainConfig { warmup_ratio: 1.5, ..Default::default() }),
            "training setting `warmup_ratio` is 1.5; expected 0 to 1"
        );
        assert_eq!(
            message(TrainConfig { learning_rate: f64::NAN, ..Default::default() }),
            "training setting `learning_rate` is NaN; expected a number above 0"
        );
        assert_eq!(
            message(TrainConfig { epochs: 0, ..Default::default() }),
            "training setting `epochs` is 0; expected a whole number from 1"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        let error = serde_json::from_str::<TrainConfig>(r#"{"lr": 1}"#).expect_err("unknown key");
        assert!(error.to_string().contains("unknown field `lr`, expected one of `epochs`"));
    }
}
