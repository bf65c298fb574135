//! What can go wrong between a request and its reply.

/// An error of one request.
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
    /// Somebody asked to stop before this request was answered.
    #[error("interrupted before the reply was finished")]
    Interrupted,
}
