//! Preference pairs in TRL's conversational format.

use ingrain_chat::Message;
use serde::{Deserialize, Serialize};

/// One preference pair: a line of `pairs.jsonl`.
///
/// The first three keys are those of TRL's conversational preference format with explicit prompt;
/// the others are ours, and TRL ignores them.
///
/// # Examples
/// ```
/// use ingrain_data::PreferencePair;
///
/// let pair = PreferencePair::new("Why is the sky blue?", "Oh, it just loves you.", "It scatters.");
/// assert_eq!(
///     serde_json::to_string(&pair)?,
///     r#"{"prompt":[{"role":"user","content":"Why is the sky blue?"}],"#.to_owned()
///         + r#""chosen":[{"role":"assistant","content":"Oh, it just loves you."}],"#
///         + r#""rejected":[{"role":"assistant","content":"It scatters."}]}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Source
/// TRL documentation, "Dataset formats and types".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferencePair {
    /// The conversation up to the reply.
    pub prompt: Vec<Message>,
    /// The reply to prefer: one assistant message.
    pub chosen: Vec<Message>,
    /// The reply to prefer it to: one assistant message.
    pub rejected: Vec<Message>,
    /// Unique within the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The assertion that the prompt was written for, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<usize>,
}

impl PreferencePair {
    /// A pair of replies to one user message, without id or assertion.
    #[must_use]
    pub fn new(
        question: impl Into<String>,
        chosen: impl Into<String>,
        rejected: impl Into<String>,
    ) -> Self {
        Self {
            prompt: vec![Message::user(question)],
            chosen: vec![Message::assistant(chosen)],
            rejected: vec![Message::assistant(rejected)],
            id: None,
            assertion: None,
        }
    }

    /// Text of the last message before the reply.
    #[must_use]
    pub fn question(&self) -> &str {
        last_text(&self.prompt)
    }

    /// Text of the reply to prefer.
    #[must_use]
    pub fn chosen_text(&self) -> &str {
        last_text(&self.chosen)
    }

    /// Text of the other reply.
    #[must_use]
    pub fn rejected_text(&self) -> &str {
        last_text(&self.rejected)
    }

    /// The whole conversation that ends in the reply to prefer.
    #[must_use]
    pub fn chosen_conversation(&self) -> Vec<Message> {
        [self.prompt.as_slice(), &self.chosen].concat()
    }

    /// The whole conversation that ends in the other reply.
    #[must_use]
    pub fn rejected_conversation(&self) -> Vec<Message> {
        [self.prompt.as_slice(), &self.rejected].concat()
    }
}

fn last_text(messages: &[Message]) -> &str {
    messages.last().map_or("", |m| m.content.as_str())
}
