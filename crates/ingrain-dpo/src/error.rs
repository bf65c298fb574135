//! What can go wrong in distillation.

use ingrain_lm::LmError;
use ingrain_run::RunError;
use ingrain_tokenizer::TokenizerError;
use ingrain_train::TrainError;

/// Failures of losses, tokenised pairs and the trainer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DpoError {
    /// A loss that compares with the reference was given none.
    #[error(
        "loss `{loss}` compares with a reference model and was given no reference \
         log-probabilities; compute them with the adapter off, or choose a reference-free loss \
         (nll, simpo, orpo, cpo)"
    )]
    MissingReference {
        /// Name of the loss, as in a recipe file.
        loss: &'static str,
    },
    /// A loss over the whole vocabulary was given log-probabilities without divergences.
    #[error(
        "loss `{loss}` looks at the whole vocabulary and was given log-probabilities of single tokens \
         alone; attach them with `TokenLogps::with_divergence`"
    )]
    MissingDivergence {
        /// Name of the loss, as in a recipe file.
        loss: &'static str,
    },
    /// Two terms that cannot stand in one objective.
    #[error("the objective has `kl` in both directions; keep one of them")]
    TwoDivergences,
    /// A setting of a loss is outside its range.
    #[error("loss `{loss}`: `{key}` is {value}; expected {expected}")]
    LossSetting {
        /// Name of the loss, as in a recipe file.
        loss: &'static str,
        /// Key of the setting.
        key: &'static str,
        /// The value that was given.
        value: f64,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// An objective without a term.
    #[error("the objective has no terms; write at least one, such as `losses: [{{dpo: 1.0}}]`")]
    NoLosses,
    /// A conversation that is no preference pair.
    #[error("pair `{id}`: {problem}")]
    Pair {
        /// Name of the pair.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokenizer or its template failed.
    #[error("pair `{id}`: {source}")]
    Tokenizer {
        /// Name of the pair.
        id: String,
        /// The cause.
        source: TokenizerError,
    },
    /// A value could not be read back from the device.
    #[error("cannot read {what} from the device: {reason}")]
    Device {
        /// What was read.
        what: &'static str,
        /// What the device said.
        reason: String,
    },
    /// The model refused.
    #[error(transparent)]
    Model(#[from] LmError),
    /// A file of the run could not be read or written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Training stopped.
    #[error(transparent)]
    Train(#[from] TrainError),
}
