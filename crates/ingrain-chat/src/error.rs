//! What can go wrong between a request and its reply.

use std::path::PathBuf;

use ingrain_run::RunError;

/// An error of one request, or of opening what answers requests.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The conversation cannot be rendered or is too long for the model.
    #[error("request cannot be sent: {0}")]
    InvalidRequest(String),
    /// The model behind the seam failed.
    #[error("model failed: {0}")]
    Model(String),
    /// No recorded or scripted reply fits the request.
    #[error("no recorded reply for {0:?}")]
    NotRecorded(String),
    /// A file of recorded replies says two things about one sample of one question.
    #[error(
        "{}: sample {sample} of question {question:?} is recorded twice; number the samples of a \
         question 0, 1, 2, ...", path.display()
    )]
    RecordedTwice {
        /// The file.
        path: PathBuf,
        /// The question.
        question: String,
        /// Its sample number.
        sample: usize,
    },
    /// A reply came, but could not be written to (or read from) the journal.
    #[error("reply journal failed")]
    Journal(#[from] RunError),
    /// Somebody asked to stop before this request was answered.
    #[error("interrupted before the reply was finished")]
    Interrupted,
}
