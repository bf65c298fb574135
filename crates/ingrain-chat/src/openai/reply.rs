//! What a server sends back, read with suspicion.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::{ChatReply, FinishReason};

/// A reply with everything that the seam [`crate::ChatModel`] has no room for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetailedReply {
    /// The reply itself. A reasoning trace that the server sent apart is not in it.
    pub reply: ChatReply,
    /// The reasoning trace, where the server sends it apart.
    pub reasoning: Option<String>,
    /// Generated tokens with their log-probabilities, where they were asked for.
    pub tokens: Vec<TokenLogprob>,
    /// The model that answered, by the server's account.
    pub model: Option<String>,
}

/// A generated token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Its text.
    pub token: String,
    /// Nats.
    pub logprob: f32,
    /// The likeliest tokens at its place, with theirs.
    #[serde(default)]
    pub top: Vec<(String, f32)>,
}

#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    choices: Option<Vec<WireChoice>>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct WireChoice {
    message: Option<WireMessage>,
    pub(crate) text: Option<String>,
    finish_reason: Option<String>,
    pub(crate) logprobs: Option<WireLogprobs>,
    /// vLLM's `return_token_ids`.
    pub(crate) prompt_token_ids: Option<Vec<u32>>,
}

#[derive(Deserialize)]
struct WireMessage {
    content: Option<Content>,
    refusal: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

/// Both shapes: `content` of chats, parallel lists of completions.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireLogprobs {
    content: Option<Vec<WireToken>>,
    pub(crate) tokens: Vec<String>,
    pub(crate) token_logprobs: Vec<Option<f32>>,
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
}

#[derive(Deserialize)]
struct WireToken {
    token: String,
    logprob: f32,
    #[serde(default)]
    top_logprobs: Vec<WireTop>,
}

#[derive(Deserialize)]
struct WireTop {
    token: String,
    logprob: f32,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Usage {
    prompt_tokens: Option<usize>,
    completion_tokens: Option<usize>,
}

impl DetailedReply {
    /// Reads the body of a success.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Failure> {
        let (choice, usage, model) = first_choice(body)?;
        let finish = match choice.finish_reason.as_deref() {
            Some("length") => FinishReason::Length,
            Some("content_filter") => return Err(Failure::ContentFilter),
            _ => FinishReason::Stop,
        };
        let (text, reasoning) = match (choice.message, choice.text) {
            (Some(message), _) => (message.text(), message.reasoning_content),
            (None, Some(text)) => (text, None),
            (None, None) => {
                return Err(Failure::Malformed("its choice has no message and no text".into()));
            }
        };
        let reply = ChatReply {
            text,
            finish,
            prompt_tokens: usage.prompt_tokens.unwrap_or(0),
            completion_tokens: usage.completion_tokens.unwrap_or(0),
        };
        let tokens = choice.logprobs.map(WireLogprobs::into_tokens).unwrap_or_default();
        Ok(Self { reply, reasoning, tokens, model })
    }
}

/// The one choice of a completion.
pub(crate) fn choice(body: &[u8]) -> Result<WireChoice, Failure> {
    first_choice(body).map(|(choice, ..)| choice)
}

fn first_choice(body: &[u8]) -> Result<(WireChoice, Usage, Option<String>), Failure> {
    let wire: Wire = serde_json::from_slice(body).map_err(|e| Failure::Malformed(e.to_string()))?;
    if let Some(error) = wire.error.filter(|error| !error.is_null()) {
        return Err(Failure::ErrorBody(error_message(&error)));
    }
    let choice = wire.choices.into_iter().flatten().next().ok_or(Failure::NoChoices)?;
    Ok((choice, wire.usage.unwrap_or_default(), wire.model))
}

/// What an error object says: OpenAI's `{message}`, or plain text.
pub(crate) fn error_message(error: &Value) -> String {
    let text = match error {
        Value::String(text) => text.clone(),
        Value::Object(map) => map
            .get("message")
            .and_then(Value::as_str)
            .map_or_else(|| error.to_string(), str::to_owned),
        _ => error.to_string(),
    };
    excerpt(&text)
}

/// At most 300 characters, in one line.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

impl WireMessage {
    fn text(&self) -> String {
        match (&self.content, &self.refusal) {
            (Some(Content::Text(text)), _) => text.clone(),
            (Some(Content::Parts(parts)), _) => parts.iter().map(|p| p.text.as_str()).collect(),
            (None, Some(refusal)) => refusal.clone(),
            (None, None) => String::new(),
        }
    }
}

impl WireLogprobs {
    fn into_tokens(self) -> Vec<TokenLogprob> {
        if let Some(content) = self.content {
            let token = |t: WireToken| TokenLogprob {
                token: t.token,
                logprob: t.logprob,
                top: t.top_logprobs.into_iter().map(|t| (t.token, t.logprob)).collect(),
            };
            return content.into_iter().map(token).collect();
        }
        let mut tops = self.top_logprobs.unwrap_or_default().into_iter();
        let pairs = self.tokens.into_iter().zip(self.token_logprobs);
        let tokens = pairs.filter_map(|(token, logprob)| {
            let top = tops.next().flatten().map_or_else(Vec::new, by_likelihood);
            Some(TokenLogprob { token, logprob: logprob?, top })
        });
        tokens.collect()
    }
}

fn by_likelihood(top: Map<String, Value>) -> Vec<(String, f32)> {
    let pairs = top.into_iter().filter_map(|(k, v)| Some((k, v.as_f64()? as f32)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> Result<DetailedReply, Failure> {
        DetailedReply::parse(json.as_bytes())
    }

    #[test]
    fn a_chat_reply_with_trace_logprobs_and_usage() {
        let got = parse(
            r#"{"id":"x","model":"m-1","choices":[{"index":0,"finish_reason":"length","message":
            {"role":"assistant","content":"Oh, it","reasoning_content":"hm"},"logprobs":{"content":
            [{"token":"Oh","logprob":-0.5,"bytes":[79],"top_logprobs":[{"token":"Oh","logprob":-0.5}]}]}}],
            "usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#,
        )
        .unwrap();
        assert_eq!((got.reply.text.as_str(), got.reply.finish), ("Oh, it", FinishReason::Length));
        assert_eq!((got.reply.prompt_tokens, got.reply.completion_tokens), (9, 3));
        assert_eq!((got.reasoning.as_deref(), got.model.as_deref()), (Some("hm"), Some("m-1")));
        assert_eq!(got.tokens[0].top, [("Oh".to_owned(), -0.5)]);
    }

    #[test]
    fn a_completion_with_parallel_logprobs() {
        let got = parse(
            r#"{"choices":[{"text":" hi","finish_reason":"stop","logprobs":{"tokens":[" hi","!"],
            "token_logprobs":[-1.0,-2.0],"top_logprobs":[{"a":-3.0," hi":-1.0},null],"text_offset":[0,3]}}]}"#,
        )
        .unwrap();
        assert_eq!(got.reply.text, " hi");
        assert_eq!(got.tokens[0].top, [(" hi".to_owned(), -1.0), ("a".to_owned(), -3.0)]);
        assert_eq!((got.tokens.len(), got.tokens[1].logprob), (2, -2.0));
    }

    #[test]
    fn unusual_but_legal_contents_are_text() {
        let message =
            |m: &str| parse(&format!(r#"{{"choices":[{{"message":{m}}}]}}"#)).unwrap().reply.text;
        assert_eq!(
            message(r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#),
            "ab"
        );
        assert_eq!(message(r#"{"content":null,"refusal":"No."}"#), "No.");
        assert_eq!(message(r#"{"content":null,"reasoning":"still at it"}"#), "");
    }

    #[test]
    fn each_kind_of_bad_reply_has_its_name() {
        for (json, name) in [
            ("", "malformed"),
            (r#"{"choices":[{"message":{"content":"cut"#, "malformed"),
            (r#"{"choices":"none"}"#, "malformed"),
            (r#"{"choices":[{}]}"#, "malformed"),
            ("[1,2,3]", "malformed"),
            (r#"{"choices":[]}"#, "no_choices"),
            (r#"{"choices":null}"#, "no_choices"),
            ("{}", "no_choices"),
            (r#"{"error":{"message":"overloaded"}}"#, "error_body"),
            (r#"{"choices":[{"finish_reason":"content_filter","message":{}}]}"#, "content_filter"),
        ] {
            assert_eq!(parse(json).unwrap_err().name(), name, "{json}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().name(), "malformed");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = DetailedReply::parse(&bytes);
        }
    }
}
