//! Conversations to learn from, with the turns that train.

use ingrain_chat::{Message, Role};
use serde::{Deserialize, Serialize};

/// Where a transcript comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptKind {
    /// Self-reflection: one task, one text.
    Reflection,
    /// Self-interaction: two copies in conversation.
    Interaction,
}

/// One training conversation (a line of `introspection.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Unique within the set.
    pub id: String,
    /// Where it comes from.
    pub kind: TranscriptKind,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Indices into `messages` of the turns that are in the loss, ascending: those that the model
    /// generated, as assistant. (Under faithful switches also a user turn, see
    /// [`DataFidelity`](crate::DataFidelity).)
    pub trainable: Vec<usize>,
}

impl Transcript {
    /// One flag a message: whether it is in the loss.
    ///
    /// # Examples
    /// ```
    /// use ingrain_chat::Message;
    /// use ingrain_data::{Transcript, TranscriptKind};
    ///
    /// let transcript = Transcript {
    ///     id: "diary#0".into(),
    ///     kind: TranscriptKind::Reflection,
    ///     messages: vec![Message::user("Write."), Message::assistant("Dear diary.")],
    ///     trainable: vec![1],
    /// };
    /// assert_eq!(transcript.mask(), [false, true]);
    /// ```
    #[must_use]
    pub fn mask(&self) -> Vec<bool> {
        (0..self.messages.len()).map(|i| self.trainable.contains(&i)).collect()
    }

    /// Whether every turn in the loss exists and is the assistant's.
    #[must_use]
    pub fn trains_assistant_only(&self) -> bool {
        let role = |&i: &usize| self.messages.get(i).map(|m| m.role);
        self.trainable.iter().all(|i| role(i) == Some(Role::Assistant))
    }
}
