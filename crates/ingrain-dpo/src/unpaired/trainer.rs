//! Training on labelled replies.

use std::path::Path;

use ingrain_lm::{CausalLm, Policy};
use ingrain_train::{Parameters, TrainConfig, TrainRun, Trained, fit};
use serde::{Deserialize, Serialize};

use super::{TokenizedReply, UnpairedLoss, UnpairedObjective};
use crate::layout::sizes;
use crate::{DpoError, ReferencePass, Sequences};

/// How to learn from labelled replies.
///
/// # Examples
/// ```
/// use ingrain_dpo::UnpairedConfig;
///
/// let config: UnpairedConfig =
///     serde_json::from_str(r#"{"loss": {"bco": {}}, "training": {"batch_size": 8}}"#)?;
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnpairedConfig {
    /// The loss. Default KTO.
    pub loss: UnpairedLoss,
    /// Longest conversation, in tokens; longer replies are left out and counted. Default 1024.
    pub max_length: usize,
    /// Data order, optimiser, schedule, checkpoints. `batch_size` counts replies.
    pub training: TrainConfig,
}

impl Default for UnpairedConfig {
    fn default() -> Self {
        let training = TrainConfig::default();
        Self { loss: UnpairedLoss::default(), max_length: 1024, training }
    }
}

impl UnpairedConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`DpoError`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), DpoError> {
        self.loss.validate()?;
        Ok(self.training.validate()?)
    }
}

/// Trains an adapter, or whatever else makes a policy of the model, on labelled replies.
#[derive(Clone, Copy, Debug)]
pub struct UnpairedTrainer<'a> {
    /// The model to be adapted.
    pub model: &'a CausalLm,
    /// Names the model's weights (hub revision or sha256); part of the cache's key.
    pub base: &'a str,
    /// The data; see [`tokenize_replies`](crate::tokenize_replies).
    pub replies: &'a [TokenizedReply],
    /// Objective and mechanics.
    pub config: &'a UnpairedConfig,
    /// Folder of reference log-probabilities that runs share; without one they stay with the run.
    pub reference_cache: Option<&'a Path>,
}

impl UnpairedTrainer<'_> {
    /// Scores the replies with the reference, then trains `initial` from the newest checkpoint in
    /// `run.dir`, if there is one.
    ///
    /// # Errors
    /// [`DpoError`]; see [`ingrain_train::fit`] for what stops a run.
    pub fn fit<P: Policy + Parameters>(
        &self,
        initial: P,
        run: &TrainRun<'_>,
    ) -> Result<Trained<P>, DpoError> {
        self.config.validate()?;
        let UnpairedConfig { loss, training, .. } = self.config;
        let sequences: Vec<Sequences<'_>> = self
            .replies
            .iter()
            .map(|reply| match loss.needs_mismatched() {
                true => vec![&reply.sequence, &reply.mismatched],
                false => vec![&reply.sequence],
            })
            .collect();
        let (model, base) = (self.model, self.base);
        let shared = self.reference_cache;
        let pass = ReferencePass { model, base, examples: &sequences, training, shared };
        let reference = pass.logps(run)?;
        // The two sequences of a reply go through the model in passes of their own.
        let mut sizes = sizes(&sequences, false);
        sizes.iter_mut().for_each(|size| size.rows = 1);
        let model = &model.clone().recomputing(training.recompute_blocks);
        let (replies, loss) = (self.replies, loss.clone());
        let objective = UnpairedObjective { model, replies, sequences, reference, loss, base };
        Ok(fit(&objective, sizes, initial.untracked(), training, run)?)
    }
}
