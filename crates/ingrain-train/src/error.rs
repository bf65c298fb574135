//! What can go wrong while training.

use std::io;
use std::path::{Path, PathBuf};

use ingrain_run::RunError;

/// Failures of the training mechanics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data set is empty.
    #[error("stage `{stage}` has nothing to train on; look at the filters of the stage before it")]
    NoExamples {
        /// Stage name.
        stage: String,
    },
    /// A setting is outside its range.
    #[error("training setting `{key}` is {value}; expected {expected}")]
    Setting {
        /// Key of the setting, as in a recipe file.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The loss or the gradient is NaN or infinite.
    #[error(
        "{what} of step {step} is {value} (examples: {examples}); lower `learning_rate` or \
         `max_grad_norm`, or look at these examples; the weights of step {saved_step} are in {dir}"
    )]
    NotFinite {
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// The value found.
        value: f64,
        /// The step that failed, counted from 1.
        step: u64,
        /// Names of the examples in the batch.
        examples: String,
        /// Last step whose weights were written down.
        saved_step: u64,
        /// Directory of the checkpoints.
        dir: PathBuf,
    },
    /// The loss is far above what was usual so far.
    #[error(
        "the loss of step {step} is {loss:.4}, where {usual:.4} was the highest running mean so far \
         (examples: {examples}); lower `learning_rate`, look at these examples, or raise \
         `explosion_factor`; the weights of step {saved_step} are in {dir}"
    )]
    Exploding {
        /// Loss of the step.
        loss: f64,
        /// The highest that the running mean of the loss has been.
        usual: f64,
        /// The step that failed, counted from 1.
        step: u64,
        /// Names of the examples in the batch.
        examples: String,
        /// Last step whose weights were written down.
        saved_step: u64,
        /// Directory of the checkpoints.
        dir: PathBuf,
    },
    /// Somebody asked to stop; everything is saved.
    #[error(
        "stopped on request after {done} of {total} {unit}; saved in {dir}, run again to go on"
    )]
    Interrupted {
        /// Units done, earlier processes included.
        done: u64,
        /// Units in all.
        total: u64,
        /// What a unit is: `steps`, or `reference examples` of the pass before training.
        unit: &'static str,
        /// Directory of the checkpoints.
        dir: PathBuf,
    },
    /// A checkpoint belongs to another run.
    #[error(
        "{path}: this checkpoint was made with {what}; give the run another directory, restore \
         the settings, or start over with resume off"
    )]
    CheckpointMismatch {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A checkpoint cannot be read.
    #[error("{path}: damaged checkpoint: {reason}")]
    CheckpointDamaged {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A value could not be read back from the device.
    #[error("cannot read {what} from the device: {reason}")]
    Device {
        /// What was read.
        what: &'static str,
        /// What the device said.
        reason: String,
    },
    /// The cost of a batch does not depend on the parameters, so there is nothing to learn from.
    #[error(
        "the cost of examples {examples} does not depend on the parameters; an objective must \
         use the parameters that it is given"
    )]
    Untracked {
        /// Names of the examples in the batch.
        examples: String,
    },
    /// The objective failed.
    #[error("{0}")]
    Objective(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl TrainError {
    /// Wraps an error of an [`Objective`](crate::Objective).
    pub fn objective(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Objective(Box::new(error))
    }

    /// Turns an I/O error into one that names the file and what was tried.
    pub(crate) fn io(
        path: impl AsRef<Path>,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Run(RunError::io(path, action, source))
    }
}
