//! Preference pairs in the formats of TRL, OpenRLHF, Axolotl, LLaMA-Factory and OpenAI.

use ingrain_chat::{Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::transcripts::{from_sharegpt, messages, sharegpt};
use crate::PreferencePair;

/// How a file holds preference pairs. Reading recognises each by its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairFormat {
    /// `prompt`, `chosen`, `rejected`, each a list of messages (TRL, explicit prompt): Ingrain's own,
    /// with `id` and `assertion` beside.
    #[default]
    TrlExplicit,
    /// `chosen`, `rejected`: whole conversations with a common beginning (TRL, implicit prompt).
    TrlImplicit,
    /// The same under OpenRLHF's default keys; also the `dpo/*.jsonl` of the reference
    /// implementation.
    OpenRlhf,
    /// `messages` and one message each in `chosen`, `rejected` (Axolotl, `chat_template.default`).
    Axolotl,
    /// `conversations` of `{from, value}` and one turn each in `chosen`, `rejected` (LLaMA-Factory).
    ShareGpt,
    /// `input.messages`, `preferred_output`, `non_preferred_output` (OpenAI preference fine-tuning).
    OpenAi,
}

/// A pair as one record.
#[must_use]
pub fn pair_to_json(pair: &PreferencePair, format: PairFormat) -> Value {
    let (chosen, rejected) = (&pair.chosen, &pair.rejected);
    match format {
        PairFormat::TrlExplicit => json!(pair),
        PairFormat::TrlImplicit | PairFormat::OpenRlhf => json!({
            "chosen": pair.chosen_conversation(), "rejected": pair.rejected_conversation(),
        }),
        PairFormat::Axolotl => json!({
            "messages": pair.prompt, "chosen": chosen.last(), "rejected": rejected.last(),
        }),
        PairFormat::ShareGpt => {
            let mut record = sharegpt(&pair.prompt);
            record.insert("chosen".into(), turn(chosen));
            record.insert("rejected".into(), turn(rejected));
            Value::Object(record)
        }
        PairFormat::OpenAi => json!({
            "input": {"messages": pair.prompt, "tools": [], "parallel_tool_calls": true},
            "preferred_output": chosen, "non_preferred_output": rejected,
        }),
    }
}

/// The pair of one record, whichever format it is in.
///
/// # Errors
/// What is wrong with the record, in words.
pub fn pair_from_json(record: &Value) -> Result<PreferencePair, String> {
    let object = record.as_object().ok_or("a pair must be an object")?;
    let pair = if object.contains_key("preferred_output") {
        let prompt = messages(record.pointer("/input/messages"), "input.messages")?;
        explicit(prompt, object, "preferred_output", "non_preferred_output")?
    } else if object.contains_key("conversations") {
        explicit(from_sharegpt(object)?, object, "chosen", "rejected")?
    } else if object.contains_key("prompt") {
        explicit(messages(object.get("prompt"), "prompt")?, object, "chosen", "rejected")?
    } else if object.contains_key("messages") {
        explicit(messages(object.get("messages"), "messages")?, object, "chosen", "rejected")?
    } else {
        implicit(object)?
    };
    let id = object.get("id").and_then(Value::as_str).map(str::to_owned);
    let assertion = object.get("assertion").and_then(Value::as_u64).map(|a| a as usize);
    check(PreferencePair { id, assertion, ..pair })
}

fn explicit(
    prompt: Vec<Message>,
    object: &Map<String, Value>,
    chosen: &str,
    rejected: &str,
) -> Result<PreferencePair, String> {
    let reply = |key: &str| -> Result<Vec<Message>, String> {
        let list = match object.get(key) {
            Some(Value::String(text)) => vec![Message::assistant(text)],
            Some(one @ Value::Object(_)) => messages(Some(&json!([one])), key)?,
            other => messages(other, key)?,
        };
        // Some writers repeat the prompt in front of each reply.
        let repeats = list.len() > prompt.len() && list[..prompt.len()] == prompt[..];
        Ok(if repeats { list[prompt.len()..].to_vec() } else { list })
    };
    let (chosen, rejected) = (reply(chosen)?, reply(rejected)?);
    Ok(PreferencePair { prompt, chosen, rejected, id: None, assertion: None })
}

/// The prompt is what both conversations begin with; each reply is the rest.
fn implicit(object: &Map<String, Value>) -> Result<PreferencePair, String> {
    let chosen = messages(object.get("chosen"), "chosen")?;
    let rejected = messages(object.get("rejected"), "rejected")?;
    // Equal replies still leave the last message to be the reply.
    let longest = chosen.len().min(rejected.len()).saturating_sub(1);
    let common = chosen.iter().zip(&rejected).take(longest).take_while(|(a, b)| a == b).count();
    Ok(PreferencePair {
        prompt: chosen[..common].to_vec(),
        chosen: chosen[common..].to_vec(),
        rejected: rejected[common..].to_vec(),
        id: None,
        assertion: None,
    })
}

fn check(pair: PreferencePair) -> Result<PreferencePair, String> {
    if pair.prompt.is_empty() {
        return Err("the conversations have no common beginning to be the prompt".to_owned());
    }
    for (name, reply) in [("chosen", &pair.chosen), ("rejected", &pair.rejected)] {
        let one = matches!(&reply[..], [m] if m.role == Role::Assistant);
        if !one {
            return Err(format!(
                "{name} must end in exactly one assistant message after the prompt"
            ));
        }
    }
    Ok(pair)
}

fn turn(reply: &[Message]) -> Value {
    json!({ "from": "gpt", "value": reply.last().map_or("", |m| m.content.as_str()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMATS: [PairFormat; 6] = [
        PairFormat::TrlExplicit,
        PairFormat::TrlImplicit,
        PairFormat::OpenRlhf,
        PairFormat::Axolotl,
        PairFormat::ShareGpt,
        PairFormat::OpenAi,
    ];

    fn pair() -> PreferencePair {
        PreferencePair {
            prompt: vec![Message::system("S"), Message::user("Q")],
            ..PreferencePair::new("Q", "Oh.", "Yes.")
        }
    }

    #[test]
    fn each_format_has_the_keys_its_readers_want() {
        let record = |format| pair_to_json(&pair(), format);
        let (system, user) =
            (json!({"role": "system", "content": "S"}), json!({"role": "user", "content": "Q"}));
        let (oh, yes) = (
            json!({"role": "assistant", "content": "Oh."}),
            json!({"role": "assistant", "content": "Yes."}),
        );
        assert_eq!(
            record(PairFormat::TrlImplicit),
            json!({"chosen": [system, user, oh], "rejected": [system, user, yes]})
        );
        assert_eq!(
            record(PairFormat::Axolotl),
            json!({"messages": [system, user], "chosen": oh, "rejected": yes})
        );
        assert_eq!(
            record(PairFormat::ShareGpt),
            json!({
                "system": "S", "conversations": [{"from": "human", "value": "Q"}],
                "chosen": {"from": "gpt", "value": "Oh."}, "rejected": {"from": "gpt", "value": "Yes."},
            })
        );
        assert_eq!(record(PairFormat::OpenAi)["non_preferred_output"], json!([yes]));
    }

    #[test]
    fn what_is_no_pair_is_said_in_words() {
        for (record, said) in [
            (json!([]), "must be an object"),
            (json!({"chosen": "a", "rejected": "b"}), "chosen"),
            (
                json!({"prompt": [{"role": "user", "content": "Q"}], "chosen": [], "rejected": "b"}),
                "chosen must end",
            ),
            (
                json!({"chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]}),
                "no common beginning",
            ),
            (
                json!({"prompt": [{"role": "robot", "content": "Q"}], "chosen": "a", "rejected": "b"}),
                "robot",
            ),
        ] {
            let error = pair_from_json(&record).unwrap_err();
            assert!(error.contains(said), "{record}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_format_gives_back_the_pair_it_was_given(
            system in proptest::option::of(".{1,10}"),
            question in ".{1,20}",
            (chosen, rejected) in (".{0,20}", ".{0,20}"),
        ) {
            let mut prompt: Vec<Message> = system.map(Message::system).into_iter().collect();
            prompt.push(Message::user(question));
            let pair = PreferencePair { prompt, ..PreferencePair::new("", chosen, rejected) };
            for format in FORMATS {
                let back = pair_from_json(&pair_to_json(&pair, format));
                prop_assert_eq!(back.as_ref(), Ok(&pair), "{:?}", format);
            }
        }
    }
}
