//! Messages, sampling and the seam to any chat model.

mod error;
mod message;
mod model;

pub use error::ChatError;
pub use message::{Message, Role};
pub use model::{
    ChatModel, ChatReply, ChatRequest, FinishReason, Sampling, Score, ScoreRequest, Scorer,
};
