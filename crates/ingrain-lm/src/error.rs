//! What can go wrong while loading, adapting, running and saving a model.

use std::path::{Path, PathBuf};

/// An error of this crate. Every message names the file or field and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    /// A model specification that names nothing we know.
    #[error("{spec}: {reason}")]
    Source {
        /// The specification as given.
        spec: String,
        /// Why it cannot be resolved, and what would be accepted.
        reason: String,
    },
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
    /// A download that did not succeed.
    #[error("cannot fetch {what}: {reason}")]
    Download {
        /// What was to be fetched.
        what: String,
        /// Why not, and the way out.
        reason: String,
    },
    /// An upload that did not succeed.
    #[error("cannot push {what} to {to}: {reason}")]
    Upload {
        /// What was to be sent.
        what: String,
        /// Where to.
        to: String,
        /// Why not, and the way out.
        reason: String,
    },
    /// A file whose checksum differs from the pinned one.
    #[error("{}: sha256 is {found}, expected {expected}; delete the file and run again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Digest of what is there.
        found: String,
        /// Digest that was promised.
        expected: String,
    },
    /// A GGUF container that cannot be read.
    #[error(transparent)]
    Gguf(#[from] ingrain_gguf::GgufError),
    /// A tokenizer or chat template that cannot be read or applied.
    #[error(transparent)]
    Tokenizer(#[from] ingrain_tokenizer::TokenizerError),
    /// A file that cannot be hashed or written.
    #[error(transparent)]
    Run(#[from] ingrain_run::RunError),
    /// A model that cannot be described in the form asked for.
    #[error("configuration: {0}")]
    Config(String),
    /// A LoRA configuration or adapter that does not fit the model.
    #[error("adapter: {0}")]
    Adapter(String),
    /// Steering vectors that do not fit the model.
    #[error("steering: {0}")]
    Steering(String),
    /// A sequence that does not fit.
    #[error("{what} has {tokens} tokens; the model's context holds {limit}")]
    TooLong {
        /// Which text.
        what: String,
        /// Its length.
        tokens: usize,
        /// The model's limit.
        limit: usize,
    },
    /// Tokens that the model cannot read.
    #[error("{what}: {reason}")]
    Tokens {
        /// Which text.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A device that this build or machine does not have.
    #[error("device {device:?}: {reason}")]
    Device {
        /// As given by the user.
        device: String,
        /// Why not, and what would be accepted.
        reason: String,
    },
}

impl LmError {
    /// Wraps an I/O error with the path it concerns.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// A file-content error.
    pub(crate) fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), reason: reason.into() }
    }
}
