//! The distillation stage's training.

use std::path::Path;

use ingrain_lm::{CausalLm, Policy};
use ingrain_train::{ExampleSize, Objective, Parameters, TrainError, TrainRun, Trained, fit};

use crate::layout::sizes;
use crate::{
    DpoConfig, DpoError, DpoObjective, PreferenceLoss, ReferencePass, TokenizedPair, WeightedSum,
    build_loss,
};

/// Trains an adapter, or whatever else makes a policy of the model, on preference pairs.
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
    /// Folder of reference log-probabilities that runs share; without one they stay with the run.
    pub reference_cache: Option<&'a Path>,
}

impl DpoTrainer<'_> {
    /// Scores the pairs with the reference (once; the result stays in `run.dir`), then trains
    /// `initial` from the newest checkpoint there, if there is one. Objectives whose losses need no
    /// reference make no such pass.
    ///
    /// # Errors
    /// [`DpoError`]; see [`ingrain_train::fit`] for what stops a run. After
    /// [`TrainError::Interrupted`](ingrain_train::TrainError::Interrupted) everything is saved.
    pub fn fit<P: Policy + Parameters>(
        &self,
        initial: P,
        run: &TrainRun<'_>,
    ) -> Result<Trained<P>, DpoError> {
        self.train(None, initial, run, self.training_loop(run))
    }

    /// As [`fit`](Self::fit), with a loop of the caller's: it is given the objective, the sizes of its
    /// examples and the parameters to begin with. `ingrain_train::fit` on an objective that watches this one
    /// is such a loop.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_through<P: Policy + Parameters>(
        &self,
        initial: P,
        run: &TrainRun<'_>,
        training_loop: impl FnOnce(
            &dyn Objective<P>,
            Vec<ExampleSize>,
            P,
        ) -> Result<Trained<P>, TrainError>,
    ) -> Result<Trained<P>, DpoError> {
        self.train(None, initial, run, training_loop)
    }

    /// As [`fit`](Self::fit), with a loss of one's own in place of `config.losses`; `config.beta` stays
    /// the scale of the reported rewards. `settings` names the loss and its numbers: a checkpoint is
    /// continued only under the same name.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    ///
    /// # Examples
    /// ```no_run
    /// use ingrain_dpo::{DpoTrainer, Hinge, Nll, WeightedSum};
    /// use ingrain_lm::Adapter;
    /// use ingrain_train::TrainRun;
    ///
    /// # fn f(trainer: DpoTrainer<'_>, initial: Adapter, run: &TrainRun<'_>) -> Result<(), Box<dyn std::error::Error>> {
    /// // needs weights, so it is only compiled here
    /// let loss = WeightedSum::new().with("mine", 1.0, Hinge::default()).with("nll", 0.1, Nll::default());
    /// let trained = trainer.fit_loss(loss, "mine 0.1", initial, run)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fit_loss<P: Policy + Parameters>(
        &self,
        loss: WeightedSum,
        settings: &str,
        initial: P,
        run: &TrainRun<'_>,
    ) -> Result<Trained<P>, DpoError> {
        self.train(Some((loss, settings)), initial, run, self.training_loop(run))
    }

    /// The loop as it is.
    fn training_loop<P: Parameters>(
        &self,
        run: &TrainRun<'_>,
    ) -> impl FnOnce(&dyn Objective<P>, Vec<ExampleSize>, P) -> Result<Trained<P>, TrainError> {
        move |objective, sizes, initial| fit(objective, sizes, initial, &self.config.training, run)
    }

    fn train<P: Policy + Parameters>(
        &self,
        own: Option<(WeightedSum, &str)>,
        initial: P,
        run: &TrainRun<'_>,
        training_loop: impl FnOnce(
            &dyn Objective<P>,
            Vec<ExampleSize>,
            P,
        ) -> Result<Trained<P>, TrainError>,
    ) -> Result<Trained<P>, DpoError> {
        self.config.validate()?;
        let (config, pairs) = (self.config, self.pairs);
        let examples: Vec<_> = pairs.iter().map(TokenizedPair::sequences).collect();
        let needs_reference = match &own {
            Some((loss, _)) => loss.needs_reference(),
            None => build_loss(&config.losses, config.beta)?.needs_reference(),
        };
        let reference = if needs_reference {
            let pass = ReferencePass {
                model: self.model,
                base: self.base,
                examples: &examples,
                training: &config.training,
                shared: self.reference_cache,
            };
            Some(pass.logps(run)?)
        } else {
            None
        };
        let model = self.model.clone().recomputing(config.training.recompute_blocks);
        let mut objective = DpoObjective::new(&model, self.base, pairs, reference, config)?;
        if let Some((loss, settings)) = own {
            objective = objective.with_loss(loss, settings);
        }
        let sizes = sizes(&examples, initial.shares_beginnings(&model));
        Ok(training_loop(&objective, sizes, initial.untracked())?)
    }
}
