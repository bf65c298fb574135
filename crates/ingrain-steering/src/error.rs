//! What can go wrong while steering.

use std::path::PathBuf;

use ingrain_gguf::GgufError;
use ingrain_lm::LmError;
use ingrain_run::RunError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SteeringError {
    /// Nothing to find a direction in.
    #[error("no contrast has a continuation; give at least one with at least one token")]
    NoContrasts,
    /// The two prompts of every contrast lead to the same states.
    #[error("block {block}: the contrasted prompts make no difference; are they the same?")]
    NoDifference {
        /// Where.
        block: usize,
    },
    /// Settings that make no sense.
    #[error("steering configuration: {0}")]
    Config(String),
    /// No strength that keeps within the bound, or no end to them.
    #[error("strength: {0}")]
    Strength(String),
    /// A file that is no control vector.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A GGUF container that cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The model.
    #[error(transparent)]
    Model(#[from] LmError),
    /// A file that cannot be written.
    #[error(transparent)]
    Run(#[from] RunError),
}
