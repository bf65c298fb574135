//! What can go wrong while learning from transcripts.

use ingrain_tokenizer::TokenizerError;
use ingrain_train::TrainError;

/// Failures of tokenised transcripts and the trainer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// A setting is outside its range.
    #[error("introspection setting `{key}` is {value}; expected {expected}")]
    Setting {
        /// Key of the setting, as in a recipe file.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A transcript that cannot be trained on.
    #[error("transcript `{id}`: {problem}")]
    Transcript {
        /// Name of the transcript.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokenizer or its template failed.
    #[error("transcript `{id}`: {source}")]
    Tokenizer {
        /// Name of the transcript.
        id: String,
        /// The cause.
        source: TokenizerError,
    },
    /// The model refused a sequence.
    #[error(transparent)]
    Model(#[from] ingrain_lm::LmError),
    /// Training stopped.
    #[error(transparent)]
    Train(#[from] TrainError),
}
