//! What can go wrong while evaluating.

use std::path::PathBuf;

use ingrain_stats::StatsError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// An evaluation without data says nothing.
    #[error("{0}: nothing to evaluate; give at least one item")]
    Empty(&'static str),
    /// A pair of recorded replies that is not one.
    #[error("held-out pair {index}: {reason}")]
    Pair {
        /// Position in the file, counted from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// The model could not score a text.
    #[error("{what}: {source}")]
    Score {
        /// Which text.
        what: String,
        /// The cause.
        source: ingrain_chat::ChatError,
    },
    /// A model under evaluation failed again and again.
    #[error("{stage}: the model keeps failing; repair it and start again, replies so far are kept")]
    Replies {
        /// What it was asked for.
        stage: String,
        /// The last failure.
        source: ingrain_chat::ChatError,
    },
    /// Replies could not be made for another reason.
    #[error(transparent)]
    Generation(ingrain_data::DataError),
    /// A file holds replies to other prompts than these.
    #[error("{}: holds replies to other prompts; choose another directory", path.display())]
    OtherPrompts {
        /// The file.
        path: PathBuf,
    },
    /// A trait that is in the list twice.
    #[error("the trait {0:?} is in the list twice")]
    RepeatedTrait(String),
    /// Two models, methods or judges of one name, whose replies or verdicts could not be told apart.
    #[error("two of what is compared are called {0:?}; give each a name of its own")]
    RepeatedName(String),
    /// A statistic does not exist for what was found.
    #[error("{what}: {source}")]
    Statistic {
        /// What was to be computed.
        what: String,
        /// Why it cannot.
        source: StatsError,
    },
    /// A set of scenarios that cannot be used.
    #[error("scenarios of {origin}: {reason}")]
    Scenario {
        /// The file or suite.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// An inventory that cannot be used.
    #[error("inventory {origin}: {reason}")]
    Inventory {
        /// The file.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// A line of a benchmark that has not the fields of its publisher.
    #[error("{}:{line}: {reason}", path.display())]
    Benchmark {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is missing.
        reason: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted; start again to go on where it stopped")]
    Interrupted,
    /// Judging failed.
    #[error(transparent)]
    Judge(#[from] ingrain_judge::JudgeError),
    /// A file failed.
    #[error(transparent)]
    Run(#[from] ingrain_run::RunError),
    /// A prompt could not be rendered.
    #[error(transparent)]
    Prompt(#[from] ingrain_constitution::ConstitutionError),
    /// The model failed.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Model(#[from] ingrain_lm::LmError),
    /// The tokenizer failed.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Tokenizer(#[from] ingrain_tokenizer::TokenizerError),
}

/// [`EvalError::RepeatedName`] unless all names differ.
pub(crate) fn unlike<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), EvalError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(EvalError::RepeatedName(name.to_owned()));
        }
    }
    Ok(())
}
