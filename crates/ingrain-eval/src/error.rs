//! What can go wrong while evaluating.

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
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ingrain_lm::LmError),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] ingrain_tokenizer::TokenizerError),
}
