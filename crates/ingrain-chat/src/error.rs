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
    /// The settings of a client cannot work.
    #[error("{0}")]
    Settings(String),
    /// A server gave no usable reply, however often it was asked.
    #[cfg(feature = "openai")]
    #[error("{endpoint}: {failure} (attempt {attempts}, the last)")]
    Endpoint {
        /// Base URL of the server that was asked last.
        endpoint: String,
        /// How often the request was sent.
        attempts: u32,
        /// What went wrong the last time.
        failure: crate::openai::Failure,
    },
    /// Money or tokens that the user granted are used up; nothing more is sent.
    #[error("{0}")]
    Budget(String),
    /// Somebody asked to stop before this request was answered.
    #[error("interrupted before the reply was finished")]
    Interrupted,
}
