//! What can go wrong while data is made.

use ingrain_chat::ChatError;
use ingrain_run::RunError;

/// An error that ends a data stage. Failures of single requests do not: they are in the
/// [`StageReport`](crate::StageReport).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file of the run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Somebody asked to stop. What was finished is on disk.
    #[error("stage {stage} was interrupted at {done} of {total}; start again to go on")]
    Interrupted {
        /// The stage.
        stage: String,
        /// Records on disk.
        done: u64,
        /// Records in all.
        total: u64,
    },
    /// Request after request failed.
    #[error("stage {stage} gave up after {failed} failed requests in a row; the last one")]
    GaveUp {
        /// The stage.
        stage: String,
        /// Failures without a success between.
        failed: u64,
        /// The last of them.
        #[source]
        source: ChatError,
    },
    /// A prompt of the method could not be written.
    #[error(transparent)]
    Prompt(#[from] ingrain_constitution::ConstitutionError),
    /// What the user granted is used up. What was finished is on disk.
    #[error("stage {stage} stopped at {done} of {total}: {reason}; raise the budget to go on")]
    Budget {
        /// The stage.
        stage: String,
        /// Records on disk.
        done: u64,
        /// Records in all.
        total: u64,
        /// What is used up.
        reason: String,
    },
    /// A file in somebody's format holds something that the format has not.
    #[error("{}:{line}: {reason}", path.display())]
    Format {
        /// The file.
        path: std::path::PathBuf,
        /// Line or record, counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// An export would change the objective, and nobody agreed.
    #[error(
        "{engine} cannot express {missing}; agree to leave it out (--leave-out {missing}), or train here",
        missing = terms.join(",")
    )]
    Inexpressible {
        /// The engine.
        engine: &'static str,
        /// What it cannot express.
        terms: Vec<String>,
    },
    /// A stage was asked for something that makes no sense.
    #[error("stage {stage}: {reason}")]
    Invalid {
        /// The stage.
        stage: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl From<std::convert::Infallible> for DataError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
