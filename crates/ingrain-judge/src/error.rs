//! What can go wrong while judging.

use std::path::PathBuf;

use ingrain_chat::ChatError;
use ingrain_constitution::ConstitutionError;
use ingrain_run::RunError;

/// An error of this crate.
///
/// A reply that cannot be read is no error: it is kept and counted, see
/// [`Unreadable`](crate::Unreadable).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The model behind a judge failed.
    #[error("the judge's model failed")]
    Model(#[from] ChatError),
    /// A prompt could not be rendered.
    #[error("the judge's prompt cannot be rendered")]
    Prompt(#[from] ConstitutionError),
    /// The store of rulings failed.
    #[error("the store of rulings failed")]
    Store(#[from] RunError),
    /// A rubric file that says something impossible.
    #[error("{}: {reason}", path.display())]
    Rubric {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A judge was asked something that its rubric is not about.
    #[error("case {case:?} is a {task} task, but the rubric {rubric:?} is for {expected} tasks")]
    WrongTask {
        /// Key of the case.
        case: String,
        /// What the case asks.
        task: &'static str,
        /// The rubric.
        rubric: String,
        /// What the rubric is for.
        expected: &'static str,
    },
    /// Two cases with one key.
    #[error("two cases have the key {0:?}; keys must be unique")]
    DuplicateCase(String),
    /// A panel without members.
    #[error("a panel needs at least one judge")]
    EmptyPanel,
    /// A line of a file of human labels that is none.
    #[error("{}:{line}: {reason}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted; start again to go on where it stopped")]
    Interrupted,
}
