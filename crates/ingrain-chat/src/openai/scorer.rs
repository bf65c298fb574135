//! Log-probabilities of given text, from servers that echo a prompt with its own.

use hyper::body::Bytes;
use serde_json::json;

use super::body::{COMPLETIONS, no_renderer};
use super::client::OpenAiClient;
use super::config::Dialect;
use super::exchange::Post;
use super::failure::Failure;
use super::reply;
use crate::{ChatError, Message, Score, ScoreRequest, Scorer};

/// A text with the log-probability of each of its tokens; the first token has none.
#[derive(Clone, Debug, PartialEq)]
struct Echo {
    tokens: Vec<String>,
    /// Nats.
    logprobs: Vec<Option<f32>>,
    /// Empty where the server does not name them.
    token_ids: Vec<u32>,
}

/// Needs a renderer, and a server whose `/completions` knows `echo` with `logprobs` (vLLM,
/// llama-cpp-python with `logits_all`). [`Score::token_ids`] is empty where the server names no ids.
///
/// The continuation begins where the prompt that precedes it ends. Should a token lie across that
/// point, the prompt is echoed alone and its tokens are counted.
impl Scorer for OpenAiClient {
    fn logprobs(&self, requests: &[ScoreRequest]) -> Vec<Result<Score, ChatError>> {
        let mut scores: Vec<_> = requests.iter().map(|_| Err(ChatError::Interrupted)).collect();
        self.drive(requests.len(), |i| self.score(&requests[i]), &mut |i, score| scores[i] = score);
        scores
    }
}

impl OpenAiClient {
    async fn score(&self, request: &ScoreRequest) -> Result<Score, ChatError> {
        let renderer = self.renderer.as_ref().ok_or_else(no_renderer)?;
        let prompt = renderer.open(&request.messages)?;
        let mut messages = request.messages.clone();
        messages.push(Message::assistant(&request.continuation));
        let whole = renderer.closed(&messages)?;
        if !whole.starts_with(&prompt) {
            return Err(ChatError::InvalidRequest(
                "the chat template renders the prompt differently once the reply is there".into(),
            ));
        }
        let echo = self.echo(&whole).await?;
        let start = match echo.token_at(&whole, prompt.len()) {
            Some(start) => start,
            None => self.echo(&prompt).await?.tokens.len(),
        };
        echo.score_from(start)
    }

    async fn echo(&self, text: &str) -> Result<Echo, ChatError> {
        let mut body = json!({
            "model": self.config.model, "prompt": text, "echo": true, "logprobs": 1,
            "max_tokens": 1, "temperature": 0,
        });
        if self.config.dialect == Dialect::Vllm {
            body["add_special_tokens"] = false.into();
            body["return_token_ids"] = true.into();
        }
        let post = Post {
            route: COMPLETIONS,
            json: Bytes::from(body.to_string()),
            estimated_tokens: text.len() as u64 / 4 + 1,
        };
        self.post(&post, Echo::parse).await
    }
}

impl Echo {
    /// Takes the one generated token off the end.
    fn parse(body: &[u8]) -> Result<Self, Failure> {
        let choice = reply::choice(body)?;
        let logprobs = choice.logprobs.unwrap_or_default();
        let (mut tokens, mut values) = (logprobs.tokens, logprobs.token_logprobs);
        if tokens.len() < 2 || tokens.len() != values.len() {
            let reason = "it has no log-probabilities of the prompt; this server cannot score";
            return Err(Failure::Malformed(reason.to_owned()));
        }
        let token_ids = choice.prompt_token_ids.unwrap_or_default();
        // A server may have ended without generating anything.
        let generated = match token_ids.len() {
            0 => 1,
            n => tokens.len().saturating_sub(n),
        };
        tokens.truncate(tokens.len() - generated);
        values.truncate(values.len() - generated);
        Ok(Self { tokens, logprobs: values, token_ids })
    }

    /// Index of the token that begins at byte `at` of `text`; none if no token does, or if the
    /// tokens are not the text (half a character each, for instance).
    fn token_at(&self, text: &str, at: usize) -> Option<usize> {
        let mut end = 0;
        let mut found = None;
        for (i, token) in self.tokens.iter().enumerate() {
            if end == at {
                found = found.or(Some(i));
            }
            text[end..].starts_with(token.as_str()).then_some(())?;
            end += token.len();
        }
        found
    }

    fn score_from(self, start: usize) -> Result<Score, ChatError> {
        let values = self.logprobs.get(start..).unwrap_or_default();
        let logprobs: Option<Vec<f32>> = values.iter().copied().collect();
        let token_ids = self.token_ids.get(start..).unwrap_or_default().to_vec();
        let unscored = || ChatError::Model("the server left a token of the reply unscored".into());
        Ok(Score { token_ids, logprobs: logprobs.ok_or_else(unscored)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(tokens: &[&str]) -> Echo {
        let logprobs = (0..tokens.len()).map(|i| (i > 0).then_some(-(i as f32))).collect();
        Echo { tokens: tokens.iter().map(|&t| t.to_owned()).collect(), logprobs, token_ids: vec![] }
    }

    #[test]
    fn the_continuation_begins_at_a_token_border() {
        let text = "Q: hi\nA: yes.";
        let echo = echo(&["Q:", " hi", "\n", "A:", " yes", "."]);
        let start = echo.token_at(text, "Q: hi\nA:".len()).unwrap();
        assert_eq!(echo.score_from(start).unwrap().logprobs, [-4.0, -5.0]);
    }

    #[test]
    fn tokens_across_the_border_or_unlike_the_text_are_not_guessed_at() {
        assert_eq!(echo(&["ab", "cd"]).token_at("abcd", 1), None);
        assert_eq!(echo(&["ü", "\u{fffd}", "\u{fffd}"]).token_at("üé", 2), None);
    }

    #[test]
    fn the_generated_token_is_no_part_of_the_echo() {
        let body = r#"{"choices":[{"text":"abc","logprobs":{"tokens":["a","b","c"],
            "token_logprobs":[null,-1.5,-2.5]}}]}"#;
        let echo = Echo::parse(body.as_bytes()).unwrap();
        assert_eq!((echo.tokens.len(), echo.logprobs), (2, vec![None, Some(-1.5)]));
        let silent = r#"{"choices":[{"text":"abc","logprobs":null}]}"#;
        assert!(Echo::parse(silent.as_bytes()).is_err());
    }
}
