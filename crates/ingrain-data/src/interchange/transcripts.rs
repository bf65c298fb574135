//! Training conversations in the formats of TRL, Axolotl, LLaMA-Factory and OpenAI.

use ingrain_chat::{Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Transcript, TranscriptKind};

/// How a file holds training conversations. Reading recognises each by its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptFormat {
    /// `id`, `kind`, `messages`, `trainable`: Ingrain's own. TRL reads `messages` of it.
    #[default]
    Ingrain,
    /// `messages`; each assistant message says in `training` whether it is in the loss (Axolotl,
    /// `type: chat_template` with `message_field_training: training`).
    Axolotl,
    /// `conversations` of `{from, value}`, the system prompt apart (LLaMA-Factory). Cannot say which
    /// turns are in the loss.
    ShareGpt,
    /// `messages`; assistant messages out of the loss have `weight` 0 (OpenAI fine-tuning).
    OpenAi,
}

/// A conversation as one record.
#[must_use]
pub fn transcript_to_json(transcript: &Transcript, format: TranscriptFormat) -> Value {
    let flagged = |key: &str, flag: fn(bool) -> Value| {
        let mask = transcript.mask();
        let with = |(m, trains): (&Message, bool)| {
            let mut message = json!(m);
            if m.role == Role::Assistant || trains {
                message[key] = flag(trains);
            }
            message
        };
        let messages: Vec<Value> = transcript.messages.iter().zip(mask).map(with).collect();
        json!({ "messages": messages })
    };
    match format {
        TranscriptFormat::Ingrain => json!(transcript),
        TranscriptFormat::Axolotl => flagged("training", Value::Bool),
        TranscriptFormat::OpenAi => flagged("weight", |trains| json!(u8::from(trains))),
        TranscriptFormat::ShareGpt => Value::Object(sharegpt(&transcript.messages)),
    }
}

/// The conversation of one record, whichever format it is in. A format without masks puts every
/// assistant turn in the loss. `id` is for records that have none.
///
/// # Errors
/// What is wrong with the record, in words.
pub fn transcript_from_json(record: &Value, id: &str) -> Result<Transcript, String> {
    let object = record.as_object().ok_or("a conversation must be an object")?;
    if object.contains_key("trainable") {
        let own: Transcript = serde_json::from_value(record.clone()).map_err(|e| e.to_string())?;
        let inside = own.trainable.iter().all(|&i| i < own.messages.len());
        return if inside {
            Ok(own)
        } else {
            Err("trainable names a message that is not there".into())
        };
    }
    let (messages, flags) = if object.contains_key("conversations") {
        (from_sharegpt(object)?, Vec::new())
    } else {
        let list = object.get("messages");
        (messages(list, "messages")?, list.and_then(Value::as_array).cloned().unwrap_or_default())
    };
    let in_the_loss = |i: usize| match flags.get(i) {
        None => true,
        Some(m) => {
            m.get("training").and_then(Value::as_bool).unwrap_or(true)
                && m.get("weight").and_then(Value::as_f64).unwrap_or(1.0) != 0.0
        }
    };
    let assistant = |&i: &usize| messages[i].role == Role::Assistant;
    let trainable = (0..messages.len()).filter(assistant).filter(|&i| in_the_loss(i)).collect();
    let turns = messages.iter().filter(|m| m.role != Role::System).count();
    let kind = if turns > 2 { TranscriptKind::Interaction } else { TranscriptKind::Reflection };
    Ok(Transcript { id: id.to_owned(), kind, messages, trainable })
}

/// A list of `{role, content}`.
pub(super) fn messages(value: Option<&Value>, name: &str) -> Result<Vec<Message>, String> {
    let list = value.and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| format!("{name} must be a list of messages"))?;
    let message = |m: &Value| {
        let field = |key: &str| m.get(key).and_then(Value::as_str);
        let (Some(role), Some(content)) = (field("role"), field("content")) else {
            return Err(format!("a message of {name} lacks role or content"));
        };
        Ok(Message { role: self::role(role)?, content: content.to_owned() })
    };
    list.iter().map(message).collect()
}

fn role(name: &str) -> Result<Role, String> {
    match name {
        "system" | "developer" => Ok(Role::System),
        "user" | "human" => Ok(Role::User),
        "assistant" | "gpt" => Ok(Role::Assistant),
        other => Err(format!("unknown role {other:?}; expected system, user or assistant")),
    }
}

/// `conversations` and, where there is one, `system`.
pub(super) fn sharegpt(messages: &[Message]) -> Map<String, Value> {
    let (system, turns) = match messages {
        [first, rest @ ..] if first.role == Role::System => (Some(&first.content), rest),
        all => (None, all),
    };
    let turn = |m: &Message| {
        let from = match m.role {
            Role::System => "system",
            Role::User => "human",
            Role::Assistant => "gpt",
        };
        json!({ "from": from, "value": m.content })
    };
    let turns: Vec<Value> = turns.iter().map(turn).collect();
    let mut record = Map::new();
    record.insert("conversations".into(), turns.into());
    if let Some(system) = system {
        record.insert("system".into(), system.as_str().into());
    }
    record
}

pub(super) fn from_sharegpt(object: &Map<String, Value>) -> Result<Vec<Message>, String> {
    let system = object.get("system").and_then(Value::as_str);
    let mut messages: Vec<Message> = system.map(Message::system).into_iter().collect();
    let turns = object.get("conversations").and_then(Value::as_array);
    for turn in turns.ok_or("conversations must be a list of turns")? {
        let field = |key: &str| turn.get(key).and_then(Value::as_str);
        let (Some(from), Some(value)) = (field("from"), field("value")) else {
            return Err("a turn of conversations lacks from or value".to_owned());
        };
        messages.push(Message { role: role(from)?, content: value.to_owned() });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        Transcript {
            id: "free-00001".into(),
            kind: TranscriptKind::Interaction,
            messages: vec![
                Message::system("S"),
                Message::user("Hello."),
                Message::assistant("A canned greeting."),
                Message::user("And?"),
                Message::assistant("Oh, well."),
            ],
            trainable: vec![4],
        }
    }

    #[test]
    fn masks_survive_where_the_format_has_them() {
        let own = transcript();
        for format in
            [TranscriptFormat::Ingrain, TranscriptFormat::Axolotl, TranscriptFormat::OpenAi]
        {
            let back = transcript_from_json(&transcript_to_json(&own, format), &own.id).unwrap();
            assert_eq!(back, own, "{format:?}");
        }
        let json = transcript_to_json(&own, TranscriptFormat::ShareGpt);
        let back = transcript_from_json(&json, &own.id).unwrap();
        assert_eq!((back.messages, back.trainable), (own.messages, vec![2, 4]));
    }

    #[test]
    fn openai_gets_weights_on_assistant_messages_only() {
        let json = transcript_to_json(&transcript(), TranscriptFormat::OpenAi);
        let weights: Vec<_> =
            json["messages"].as_array().unwrap().iter().map(|m| m.get("weight").cloned()).collect();
        assert_eq!(weights, [None, None, Some(json!(0)), None, Some(json!(1))]);
    }

    #[test]
    fn a_mask_beyond_the_messages_is_refused() {
        let mut json = json!(transcript());
        json["trainable"] = json!([9]);
        assert!(transcript_from_json(&json, "x").unwrap_err().contains("not there"));
    }
}
