//! `/v1/chat/completions`.

use ingrain_chat::{Message, Role};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::{Fields, Usage, alternatives, finish_reason};
use super::{Collect, Order, Stamp};
use crate::http::{Failure, Writer};
use crate::{Event, Input, Job, Limits, TokenText};

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    messages: Vec<Turn>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    pub(super) fields: Fields,
}

#[derive(Debug, Deserialize)]
struct Turn {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

pub(super) fn order(
    request: Request,
    stamp: Stamp,
    fresh_seed: u64,
    limits: &Limits,
) -> Result<Order<ChatWriter>, Failure> {
    let fields = &request.fields;
    let messages: Vec<Message> =
        request.messages.into_iter().map(message).collect::<Result<_, _>>()?;
    if messages.is_empty() {
        return Err(Failure::invalid(Some("messages"), "messages is empty; give at least one"));
    }
    let n = fields.choices(1, limits)?;
    // The context bounds a reply that the request does not bound.
    let sampling = fields.sampling(usize::MAX, fresh_seed)?;
    let strength = fields.strength()?;
    let logprobs = match request.logprobs {
        Some(true) => Some(alternatives("top_logprobs", request.top_logprobs.unwrap_or(0))?),
        _ => None,
    };
    let job = |index: usize| {
        let mut sampling = sampling.clone();
        sampling.seed = sampling.seed.wrapping_add(index as u64);
        Job {
            model: fields.model.clone(),
            strength,
            input: Input::Chat(messages.clone()),
            sampling,
            echo: false,
            logprobs,
        }
    };
    let with_usage = fields.stream_options.as_ref().is_some_and(|o| o.include_usage);
    Ok(Order {
        jobs: (0..n).map(job).collect(),
        stream: fields.stream.unwrap_or(false),
        writer: ChatWriter {
            stamp,
            with_usage,
            with_logprobs: logprobs.is_some(),
            usage: Usage::default(),
            choices: vec![Choice::default(); n],
        },
    })
}

fn message(turn: Turn) -> Result<Message, Failure> {
    let invalid = |message: String| Failure::invalid(Some("messages"), message);
    let role = match turn.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            return Err(invalid(format!(
                "unknown role {other:?}; expected one of system, user, assistant"
            )));
        }
    };
    let content = match turn.content {
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => {
            let text = |part: Part| match (part.kind.as_str(), part.text) {
                ("text", Some(text)) => Ok(text),
                (kind, _) => Err(invalid(format!("content of type {kind:?}; only text is read"))),
            };
            parts.into_iter().map(text).collect::<Result<String, _>>()?
        }
        None => return Err(invalid("a message has no content".into())),
    };
    Ok(Message { role, content })
}

/// Writes events as chat completions.
pub(super) struct ChatWriter {
    stamp: Stamp,
    with_usage: bool,
    with_logprobs: bool,
    usage: Usage,
    choices: Vec<Choice>,
}

#[derive(Clone, Default)]
struct Choice {
    text: String,
    tokens: Vec<Value>,
    finish: Option<&'static str>,
}

impl ChatWriter {
    fn object(&self, kind: &str, choices: Value) -> Value {
        let Stamp { id, model, created } = &self.stamp;
        json!({ "id": id, "object": kind, "created": created, "model": model, "choices": choices })
    }

    fn chunk(&self, index: usize, delta: Value, tokens: &[Value], finish: Option<&str>) -> Value {
        let logprobs = self.logprobs(tokens);
        let choice = json!({
            "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish,
        });
        let mut chunk = self.object("chat.completion.chunk", json!([choice]));
        if self.with_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn logprobs(&self, tokens: &[Value]) -> Value {
        if self.with_logprobs && !tokens.is_empty() {
            json!({ "content": tokens, "refusal": null })
        } else {
            Value::Null
        }
    }

    fn count(&mut self, index: usize, event: &Event) {
        match event {
            // All choices share one prompt.
            Event::Started { prompt_tokens } if index == 0 => self.usage.prompt = *prompt_tokens,
            Event::Done { completion_tokens, .. } => self.usage.completion += completion_tokens,
            _ => {}
        }
    }
}

impl Writer for ChatWriter {
    fn write(&mut self, index: usize, event: Event) -> Vec<Value> {
        self.count(index, &event);
        match event {
            Event::Started { .. } => {
                vec![self.chunk(index, json!({ "role": "assistant", "content": "" }), &[], None)]
            }
            Event::Text { text, tokens } if !text.is_empty() || !tokens.is_empty() => {
                let tokens: Vec<Value> = tokens.iter().map(describe).collect();
                vec![self.chunk(index, json!({ "content": text }), &tokens, None)]
            }
            Event::Done { finish, .. } => {
                vec![self.chunk(index, json!({}), &[], Some(finish_reason(finish)))]
            }
            Event::Text { .. } | Event::Failed(_) => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<Value> {
        if !self.with_usage {
            return Vec::new();
        }
        let mut chunk = self.object("chat.completion.chunk", json!([]));
        chunk["usage"] = self.usage.to_json();
        vec![chunk]
    }
}

impl Collect for ChatWriter {
    fn collect(&mut self, index: usize, event: Event) {
        self.count(index, &event);
        let choice = &mut self.choices[index];
        match event {
            Event::Text { text, tokens } => {
                choice.text.push_str(&text);
                choice.tokens.extend(tokens.iter().map(describe));
            }
            Event::Done { finish, .. } => choice.finish = Some(finish_reason(finish)),
            Event::Started { .. } | Event::Failed(_) => {}
        }
    }

    fn reply(self) -> Value {
        let choices: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| {
                json!({
                    "index": index,
                    "message": { "role": "assistant", "content": choice.text, "refusal": null },
                    "logprobs": self.logprobs(&choice.tokens),
                    "finish_reason": choice.finish,
                })
            })
            .collect();
        let mut reply = self.object("chat.completion", json!(choices));
        reply["usage"] = self.usage.to_json();
        reply
    }
}

fn describe(token: &TokenText) -> Value {
    let one = |text: &str, logprob: Option<f32>| json!({ "token": text, "logprob": logprob, "bytes": text.as_bytes() });
    let mut described = one(&token.text, token.logprob);
    let alternatives = token.alternatives.iter().map(|(text, logprob)| one(text, Some(*logprob)));
    described["top_logprobs"] = alternatives.collect();
    described
}
