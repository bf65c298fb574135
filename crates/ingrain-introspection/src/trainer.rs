//! The introspection stage's training.

use ingrain_lm::{CausalLm, Policy};
use ingrain_train::{ExampleSize, Objective, Parameters, TrainError, TrainRun, Trained, fit};

use crate::{IntrospectionError, SftConfig, SftObjective, TokenizedTranscript};

/// Trains an adapter, or whatever else makes a policy of the model, on transcripts, by cross-entropy on
/// the turns that the model generated.
#[derive(Clone, Copy, Debug)]
pub struct SftTrainer<'a> {
    /// The model to be adapted: for the paper's method the distilled one, its adapter folded in.
    pub model: &'a CausalLm,
    /// Names the model's weights (hub revision or sha256).
    pub base: &'a str,
    /// The data; see [`tokenize_transcripts`](crate::tokenize_transcripts).
    pub transcripts: &'a [TokenizedTranscript],
    /// Mechanics.
    pub config: &'a SftConfig,
}

impl SftTrainer<'_> {
    /// Trains `initial` from the newest checkpoint in `run.dir`, if there is one.
    ///
    /// # Errors
    /// [`IntrospectionError`]; see [`ingrain_train::fit`] for what stops a run. After
    /// [`TrainError::Interrupted`](ingrain_train::TrainError::Interrupted) everything is saved.
    pub fn fit<P: Policy + Parameters>(
        &self,
        initial: P,
        run: &TrainRun<'_>,
    ) -> Result<Trained<P>, IntrospectionError> {
        let training = &self.config.training;
        self.fit_through(initial, |objective, sizes, initial| {
            fit(objective, sizes, initial, training, run)
        })
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
        training_loop: impl FnOnce(
            &dyn Objective<P>,
            Vec<ExampleSize>,
            P,
        ) -> Result<Trained<P>, TrainError>,
    ) -> Result<Trained<P>, IntrospectionError> {
        self.config.validate()?;
        let (base, transcripts) = (self.base, self.transcripts);
        let model = &self.model.clone().recomputing(self.config.training.recompute_blocks);
        let objective = SftObjective { model, base, transcripts };
        Ok(training_loop(&objective, objective.sizes(), initial.untracked())?)
    }
}
