//! Conversations that come from elsewhere, continued once each.

use ingrain_chat::{ChatReply, Message};
use ingrain_run::{JsonlStore, Keyed};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::collect::{Work, collect};
use crate::{DataError, Generation, StageReport};

/// A conversation to continue, under a key of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenConversation {
    /// Key of its record.
    pub key: String,
    /// The messages so far.
    pub messages: Vec<Message>,
}

/// Continues each conversation that has no record yet; `record` makes one of its index and the reply, with
/// the conversation's key. Single failures are in the report.
///
/// # Errors
/// [`DataError::Interrupted`], [`DataError::GaveUp`], [`DataError::Budget`], or a file error.
pub fn continue_each<R: Keyed + Serialize + DeserializeOwned>(
    generation: &Generation<'_>,
    conversations: &[OpenConversation],
    store: &mut JsonlStore<R>,
    record: &dyn Fn(usize, ChatReply) -> R,
) -> Result<StageReport, DataError> {
    collect(generation, &Given { conversations, record }, store, "replies")
}

struct Given<'a, R> {
    conversations: &'a [OpenConversation],
    record: &'a dyn Fn(usize, ChatReply) -> R,
}

impl<R: Keyed + Serialize + DeserializeOwned> Work for Given<'_, R> {
    type Record = R;

    fn len(&self) -> usize {
        self.conversations.len()
    }

    fn key(&self, i: usize) -> String {
        self.conversations[i].key.clone()
    }

    fn messages(&self, i: usize, _: &JsonlStore<R>) -> Result<Vec<Message>, DataError> {
        Ok(self.conversations[i].messages.clone())
    }

    fn record(&self, i: usize, reply: ChatReply) -> Result<R, DataError> {
        Ok((self.record)(i, reply))
    }
}
