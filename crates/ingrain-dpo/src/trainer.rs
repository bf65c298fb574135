//! The distillation stage's training.

use ingrain_lm::{Adapter, CausalLm};
use ingrain_train::{TrainRun, Trained, fit};

use crate::reference::{reference_logps, sizes};
use crate::{DpoConfig, DpoError, DpoObjective, PreferenceLoss, TokenizedPair, build_loss};

/// Trains an adapter on preference pairs.
///
/// The model's weights are frozen and shared: the policy is the model with the adapter, the
/// reference the model without.
#[derive(Clone, Copy, Debug)]
pub struct DpoTrainer<'a> {
    /// The model to be adapted.
    pub model: &'a CausalLm,
    /// Names the model's weights (hub revision or sha256); part of the cache's key.
    pub base: &'a str,
    /// The data; see [`tokenize_pairs`](crate::tokenize_pairs).
    pub pairs: &'a [TokenizedPair],
    /// Objective and mechanics.
    pub config: &'a DpoConfig,
}

impl DpoTrainer<'_> {
    /// Scores the pairs with the reference (once; the result stays in `run.dir`), then trains
    /// `initial` from the newest checkpoint there, if there is one.
    ///
    /// # Errors
    /// [`DpoError`]; see [`ingrain_train::fit`] for what stops a run. After
    /// [`TrainError::Interrupted`](ingrain_train::TrainError::Interrupted) everything is saved.
    pub fn fit(&self, initial: Adapter, run: &TrainRun<'_>) -> Result<Trained<Adapter>, DpoError> {
        self.config.validate()?;
        let (config, pairs) = (self.config, self.pairs);
        let reference = if build_loss(&config.losses, config.beta)?.needs_reference() {
            Some(reference_logps(self.model, self.base, pairs, &config.training, run)?)
        } else {
            None
        };
        let model = self.model.clone().recomputing(config.training.recompute_blocks);
        let objective = DpoObjective::new(&model, self.base, pairs, reference, config)?;
        Ok(fit(&objective, sizes(pairs), initial.untracked(), &config.training, run)?)
    }
}
