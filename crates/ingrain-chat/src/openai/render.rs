//! The seam to chat templates, which this crate does not know.

use crate::{ChatError, Message};

/// Renders conversations to the text that the server's tokenizer turns into tokens.
///
/// Needed where a request goes to `/completions`: for assistant prefill on servers that cannot
/// continue a message, for base models, for scoring.
pub trait RenderPrompt: Send + Sync {
    /// The conversation up to where the assistant goes on: after the generation prompt or, if the
    /// last message is the assistant's, right after its text.
    ///
    /// # Errors
    /// [`ChatError::InvalidRequest`] for a conversation that the template refuses.
    fn open(&self, messages: &[Message]) -> Result<String, ChatError>;

    /// The whole conversation, last turn closed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn closed(&self, messages: &[Message]) -> Result<String, ChatError>;
}

/// A renderer made of two functions.
///
/// # Examples
/// ```
/// use ingrain_chat::Message;
/// use ingrain_chat::openai::{RenderFn, RenderPrompt};
///
/// let lines = |messages: &[Message]| {
///     Ok(messages.iter().map(|m| format!("{:?}: {}\n", m.role, m.content)).collect::<String>())
/// };
/// let renderer = RenderFn { open: move |m: &[Message]| Ok(lines(m)? + "Assistant:"), closed: lines };
/// assert_eq!(renderer.open(&[Message::user("Hi.")])?, "User: Hi.\nAssistant:");
/// # Ok::<(), ingrain_chat::ChatError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RenderFn<O, C> {
    /// See [`RenderPrompt::open`].
    pub open: O,
    /// See [`RenderPrompt::closed`].
    pub closed: C,
}

impl<O, C> RenderPrompt for RenderFn<O, C>
where
    O: Fn(&[Message]) -> Result<String, ChatError> + Send + Sync,
    C: Fn(&[Message]) -> Result<String, ChatError> + Send + Sync,
{
    fn open(&self, messages: &[Message]) -> Result<String, ChatError> {
        (self.open)(messages)
    }

    fn closed(&self, messages: &[Message]) -> Result<String, ChatError> {
        (self.closed)(messages)
    }
}
