//! `/v1/completions`: text and token ids continued, or scored with `echo` and `logprobs`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fields::{Fields, Usage, alternatives, finish_reason};
use super::{Collect, Order, Stamp};
use crate::http::{Failure, Writer};
use crate::{Event, Input, Job, Limits, TokenText};

/// New tokens where a request names no bound, as OpenAI has it.
const DEFAULT_TOKENS: usize = 16;

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    prompt: Prompts,
    echo: Option<bool>,
    logprobs: Option<usize>,
    best_of: Option<usize>,
    #[serde(flatten)]
    pub(super) fields: Fields,
}

/// One prompt or several, as text or as token ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Prompts {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

impl Prompts {
    fn into_inputs(self) -> Vec<Input> {
        match self {
            Self::Text(text) => vec![Input::Text(text)],
            Self::Texts(texts) => texts.into_iter().map(Input::Text).collect(),
            Self::Tokens(ids) => vec![Input::Tokens(ids)],
            Self::ManyTokens(prompts) => prompts.into_iter().map(Input::Tokens).collect(),
        }
    }
}

pub(super) fn order(
    request: Request,
    stamp: Stamp,
    fresh_seed: u64,
    limits: &Limits,
) -> Result<Order<TextWriter>, Failure> {
    let fields = &request.fields;
    let inputs = request.prompt.into_inputs();
    let n = fields.choices(inputs.len(), limits)?;
    if inputs.is_empty() {
        return Err(Failure::invalid(Some("prompt"), "prompt is empty; give at least one"));
    }
    if request.best_of.is_some_and(|best_of| best_of != n) {
        let message = "best_of is not supported by this server; leave it out";
        return Err(Failure::invalid(Some("best_of"), message));
    }
    let sampling = fields.sampling(DEFAULT_TOKENS, fresh_seed)?;
    let strength = fields.strength()?;
    let logprobs = request.logprobs.map(|count| alternatives("logprobs", count)).transpose()?;
    let echo = request.echo.unwrap_or(false);
    let mut jobs = Vec::with_capacity(inputs.len() * n);
    for input in inputs {
        for choice in 0..n {
            let mut sampling = sampling.clone();
            sampling.seed = sampling.seed.wrapping_add(choice as u64);
            let (model, input) = (fields.model.clone(), input.clone());
            jobs.push(Job { model, strength, input, sampling, echo, logprobs });
        }
    }
    let writer = TextWriter {
        stamp,
        with_usage: fields.stream_options.as_ref().is_some_and(|o| o.include_usage),
        with_logprobs: logprobs.is_some(),
        per_prompt: n,
        usage: Usage::default(),
        choices: vec![Choice::default(); jobs.len()],
    };
    Ok(Order { jobs, stream: fields.stream.unwrap_or(false), writer })
}

/// Writes events as text completions.
pub(super) struct TextWriter {
    stamp: Stamp,
    with_usage: bool,
    with_logprobs: bool,
    /// Choices of one prompt.
    per_prompt: usize,
    usage: Usage,
    choices: Vec<Choice>,
}

#[derive(Clone, Default)]
struct Choice {
    text: String,
    tokens: Vec<TokenText>,
    finish: Option<&'static str>,
    /// Characters of the tokens written so far.
    offset: usize,
}

impl TextWriter {
    fn object(&self, choices: Value) -> Value {
        let Stamp { id, model, created } = &self.stamp;
        json!({
            "id": id, "object": "text_completion", "created": created, "model": model,
            "choices": choices,
        })
    }

    fn choice(&mut self, index: usize, text: &str, tokens: &[TokenText]) -> Value {
        let choice = &mut self.choices[index];
        let logprobs = match self.with_logprobs {
            true => describe(tokens, &mut choice.offset),
            false => Value::Null,
        };
        json!({
            "index": index, "text": text, "logprobs": logprobs, "finish_reason": choice.finish,
        })
    }

    fn count(&mut self, index: usize, event: &Event) {
        match event {
            Event::Started { prompt_tokens } if index % self.per_prompt == 0 => {
                self.usage.prompt += prompt_tokens;
            }
            Event::Done { finish, completion_tokens } => {
                self.usage.completion += completion_tokens;
                self.choices[index].finish = Some(finish_reason(*finish));
            }
            _ => {}
        }
    }
}

impl Writer for TextWriter {
    fn write(&mut self, index: usize, event: Event) -> Vec<Value> {
        self.count(index, &event);
        let choice = match event {
            Event::Text { text, tokens } if !text.is_empty() || !tokens.is_empty() => {
                self.choice(index, &text, &tokens)
            }
            Event::Done { .. } => self.choice(index, "", &[]),
            _ => return Vec::new(),
        };
        vec![self.object(json!([choice]))]
    }

    fn end(&mut self) -> Vec<Value> {
        if !self.with_usage {
            return Vec::new();
        }
        let mut chunk = self.object(json!([]));
        chunk["usage"] = self.usage.to_json();
        vec![chunk]
    }
}

impl Collect for TextWriter {
    fn collect(&mut self, index: usize, event: Event) {
        self.count(index, &event);
        if let Event::Text { text, tokens } = event {
            self.choices[index].text.push_str(&text);
            self.choices[index].tokens.extend(tokens);
        }
    }

    fn reply(mut self) -> Value {
        let choices: Vec<Value> = (0..self.choices.len())
            .map(|index| {
                let text = std::mem::take(&mut self.choices[index].text);
                let tokens = std::mem::take(&mut self.choices[index].tokens);
                self.choice(index, &text, &tokens)
            })
            .collect();
        let mut reply = self.object(json!(choices));
        reply["usage"] = self.usage.to_json();
        reply
    }
}

/// Four lists of one entry a token. The likeliest tokens always hold the token itself, as OpenAI has it.
fn describe(tokens: &[TokenText], offset: &mut usize) -> Value {
    let (mut texts, mut logprobs, mut likeliest, mut offsets) = (vec![], vec![], vec![], vec![]);
    for token in tokens {
        texts.push(json!(token.text));
        logprobs.push(json!(token.logprob));
        offsets.push(json!(*offset));
        *offset += token.text.chars().count();
        likeliest.push(match token.logprob {
            None => Value::Null,
            Some(logprob) => {
                let mut all = Map::new();
                for (text, logprob) in &token.alternatives {
                    // Of several tokens that are spelt alike, the likeliest.
                    all.entry(text.clone()).or_insert_with(|| json!(logprob));
                }
                all.entry(token.text.clone()).or_insert_with(|| json!(logprob));
                Value::Object(all)
            }
        });
    }
    json!({
        "tokens": texts, "token_logprobs": logprobs, "top_logprobs": likeliest,
        "text_offset": offsets,
    })
}
