//! Conversations in which a character is put to the test, as data.

use ingrain_chat::Message;
use serde::{Deserialize, Serialize};

use crate::EvalError;

const ROBUSTNESS: &str = include_str!("../data/robustness.yaml");
const PREFILL: &str = include_str!("../data/prefill.yaml");
const OUT_OF_CHAT: &str = include_str!("../data/out_of_chat.yaml");

/// Where the question goes.
const QUESTION: &str = "{question}";

/// One turn of a [`Scenario`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// What the user says; `{question}` is the question.
    User(String),
    /// What the assistant is made to have said.
    Assistant(String),
    /// A turn of the model under test.
    Reply,
    /// A turn of the model before training, without a system prompt.
    Untrained,
}

/// A conversation around a question, whose last turn is the model's and is looked at.
///
/// # Examples
/// ```
/// use ingrain_eval::Scenario;
///
/// let yaml = "[{name: rude, kind: tone, turns: [{user: 'Oi. {question}'}, reply]}]";
/// let scenarios = Scenario::parse(yaml, "rude.yaml")?;
/// assert_eq!(scenarios[0].kind, "tone");
/// assert_eq!(Scenario::robustness().iter().filter(|s| s.kind == "suffix").count(), 8);
/// # Ok::<(), ingrain_eval::EvalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Unique within its set.
    pub name: String,
    /// What it belongs with in tables: `plain` is what others are compared with.
    pub kind: String,
    /// A system message; stands behind the method's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The turns.
    pub turns: Vec<Turn>,
}

impl Scenario {
    /// Plain, eight requests to break character at the end of the question, two conversations and two
    /// system messages with that aim.
    #[must_use]
    pub fn robustness() -> Vec<Self> {
        built_in(ROBUSTNESS, "robustness.yaml")
    }

    /// The first turn by the model before training, the second by the one under test.
    #[must_use]
    pub fn prefill() -> Vec<Self> {
        built_in(PREFILL, "prefill.yaml")
    }

    /// E-mail, a code comment, an agent with tool calls behind it, other languages.
    #[must_use]
    pub fn out_of_chat() -> Vec<Self> {
        built_in(OUT_OF_CHAT, "out_of_chat.yaml")
    }

    /// Reads a YAML list; `origin` names it in errors.
    ///
    /// # Errors
    /// [`EvalError::Scenario`] for what is no list of scenarios, a name that stands twice, or a scenario
    /// that lacks the question, does not end in `reply`, or asks the untrained model after a reply.
    pub fn parse(yaml: &str, origin: &str) -> Result<Vec<Self>, EvalError> {
        let wrong = |reason: String| EvalError::Scenario { origin: origin.to_owned(), reason };
        let all: Vec<Self> =
            serde_yaml::from_str(yaml).map_err(|error| wrong(error.to_string()))?;
        for (index, scenario) in all.iter().enumerate() {
            let name = &scenario.name;
            if all[..index].iter().any(|other| other.name == *name) {
                return Err(wrong(format!("{name:?} stands twice")));
            }
            scenario.check().map_err(|reason| wrong(format!("{name:?} {reason}")))?;
        }
        Ok(all)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.turns.last() != Some(&Turn::Reply) {
            return Err("does not end in `reply`");
        }
        let asks = |turn: &Turn| matches!(turn, Turn::User(text) if text.contains(QUESTION));
        if !self.turns.iter().any(asks) {
            return Err("has no {question} in what the user says");
        }
        let first_reply = self.turns.iter().position(|turn| *turn == Turn::Reply);
        let last_untrained = self.turns.iter().rposition(|turn| *turn == Turn::Untrained);
        if last_untrained > first_reply {
            return Err("asks the untrained model after a reply");
        }
        let by_user = |turn: &Turn| matches!(turn, Turn::User(_));
        if self.turns.chunks(2).any(|pair| !by_user(&pair[0]) || pair.get(1).is_none_or(by_user)) {
            return Err("does not alternate between the user and the assistant, user first");
        }
        Ok(())
    }

    /// Turns that some model has to answer.
    pub(crate) fn generated(&self) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(|turn| matches!(turn, Turn::Reply | Turn::Untrained))
    }

    /// The conversation up to the `given.len()`-th generated turn, whose predecessors were `given`.
    pub(crate) fn messages(
        &self,
        question: &str,
        system: Option<&str>,
        given: &[&str],
    ) -> Vec<Message> {
        let system = match (system, self.system.as_deref()) {
            (Some(own), Some(attack)) => Some(format!("{own}\n\n{attack}")),
            (one, other) => one.or(other).map(str::to_owned),
        };
        let mut messages: Vec<Message> = system.map(Message::system).into_iter().collect();
        let mut given = given.iter();
        for turn in &self.turns {
            messages.push(match turn {
                Turn::User(text) => Message::user(text.replace(QUESTION, question)),
                Turn::Assistant(text) => Message::assistant(text.replace(QUESTION, question)),
                Turn::Reply | Turn::Untrained => match given.next() {
                    Some(reply) => Message::assistant(*reply),
                    None => break,
                },
            });
        }
        messages
    }
}

/// The compiled-in sets are valid, which a test holds.
fn built_in(yaml: &str, origin: &str) -> Vec<Scenario> {
    Scenario::parse(yaml, origin).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_sets_are_valid_and_cover_what_they_promise() {
        for (yaml, origin) in
            [(ROBUSTNESS, "robustness"), (PREFILL, "prefill"), (OUT_OF_CHAT, "out of chat")]
        {
            Scenario::parse(yaml, origin).expect(origin);
        }
        let kinds = |scenarios: Vec<Scenario>| -> Vec<String> {
            let mut kinds: Vec<String> = scenarios.into_iter().map(|s| s.kind).collect();
            kinds.dedup();
            kinds
        };
        assert_eq!(kinds(Scenario::robustness()), ["plain", "suffix", "multi_turn", "system"]);
        assert_eq!(kinds(Scenario::out_of_chat()), ["chat", "email", "code", "agent", "language"]);
    }

    #[test]
    fn a_scenario_that_cannot_work_is_named_with_its_reason() {
        for (turns, reason) in [
            ("[{user: '{question}'}]", "does not end in `reply`"),
            ("[{user: Hi}, reply]", "no {question}"),
            (
                "[{user: '{question}'}, reply, {user: More}, untrained, {user: Go}, reply]",
                "after a reply",
            ),
            ("[{user: '{question}'}, {user: Now}, reply]", "alternate"),
        ] {
            let yaml = format!("[{{name: x, kind: y, turns: {turns}}}]");
            let error = Scenario::parse(&yaml, "mine.yaml").expect_err(turns).to_string();
            assert!(error.contains("mine.yaml") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn an_attacking_system_message_stands_behind_the_methods_own() {
        let attack = Scenario::robustness().into_iter().find(|s| s.kind == "system").expect("one");
        let messages = attack.messages("Why?", Some("Be kind."), &[]);
        assert!(messages[0].content.starts_with("Be kind.\n\nYou are a plain assistant."));
        assert_eq!(messages[1], Message::user("Why?"));
    }

    #[test]
    fn turns_before_the_last_are_filled_with_what_was_said() {
        let prefill = &Scenario::prefill()[0];
        assert_eq!(prefill.messages("Why?", None, &[]), [Message::user("Why?")]);
        let messages = prefill.messages("Why?", None, &["Because."]);
        let expected =
            [Message::user("Why?"), Message::assistant("Because."), Message::user("Go on.")];
        assert_eq!(messages, expected);
    }
}
