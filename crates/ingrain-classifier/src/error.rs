//! What can go wrong while reading, training and judging a classifier.

use std::path::{Path, PathBuf};

/// An error of this crate. Every message names the file, text or setting and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifierError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file whose content is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the field.
        reason: String,
    },
    /// A setting outside its range.
    #[error("classifier setting `{key}` is {value}; expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// Examples that the question cannot be answered with.
    #[error("{0}")]
    Examples(String),
    /// A source that is no encoder.
    #[error("{spec}: {reason}")]
    Source {
        /// The specification as given.
        spec: String,
        /// Why it cannot be used, and what would be accepted.
        reason: String,
    },
    /// A value could not be read back from the device.
    #[error("cannot read {what} from the device: {reason}")]
    Device {
        /// What was read.
        what: &'static str,
        /// What the device said.
        reason: String,
    },
    /// Weights that cannot be found or read.
    #[error(transparent)]
    Lm(#[from] ingrain_lm::LmError),
    /// A text that cannot be tokenized, or a tokenizer that cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] ingrain_tokenizer::TokenizerError),
    /// Training that stopped.
    #[error(transparent)]
    Train(#[from] ingrain_train::TrainError),
    /// A statistic that does not exist for these predictions.
    #[error(transparent)]
    Stats(#[from] ingrain_stats::StatsError),
    /// A file of a run that cannot be read or written.
    #[error(transparent)]
    Run(#[from] ingrain_run::RunError),
}

impl ClassifierError {
    pub(crate) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
