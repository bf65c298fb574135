//! Doubles for tests: a chat model and a scorer that do what a script says.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::{
    ChatError, ChatModel, ChatReply, ChatRequest, FinishReason, Score, ScoreRequest, Scorer,
};

type Script = dyn Fn(&ChatRequest) -> Result<ChatReply, ChatError> + Send + Sync;

/// A [`ChatModel`] that answers from a function or a list, and remembers what it was asked.
///
/// Tokens are counted as words.
///
/// # Examples
/// ```
/// use ingrain_chat::{ChatModel, ChatRequest, Message, Sampling, Scripted};
///
/// let model = Scripted::from_fn(|request| {
///     format!("You said: {}", request.messages.last().map_or("", |m| m.content.as_str()))
/// });
/// let request = ChatRequest::new(vec![Message::user("Hello.")], Sampling::default());
/// let reply = model.complete_one(&request)?;
/// assert_eq!(reply.text, "You said: Hello.");
/// assert_eq!(model.requests(), [request]);
/// # Ok::<(), ingrain_chat::ChatError>(())
/// ```
pub struct Scripted {
    script: Box<Script>,
    batches: Mutex<Vec<Vec<ChatRequest>>>,
}

impl Scripted {
    /// Answers each request with what `reply` returns for it.
    pub fn from_fn(reply: impl Fn(&ChatRequest) -> String + Send + Sync + 'static) -> Self {
        Self::try_from_fn(move |request| Ok(scripted_reply(request, reply(request))))
    }

    /// Like [`from_fn`](Self::from_fn), in full: the reply may be cut off, or an error.
    pub fn try_from_fn(
        reply: impl Fn(&ChatRequest) -> Result<ChatReply, ChatError> + Send + Sync + 'static,
    ) -> Self {
        Self { script: Box::new(reply), batches: Mutex::new(Vec::new()) }
    }

    /// Answers request after request from a list; past its end, [`ChatError::NotRecorded`].
    pub fn replies<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Self {
        let queue: VecDeque<String> = texts.into_iter().map(Into::into).collect();
        let queue = Mutex::new(queue);
        Self::try_from_fn(move |request| {
            let text = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let text = text.ok_or_else(|| {
                let last = request.messages.last().map_or("", |m| m.content.as_str());
                ChatError::NotRecorded(last.to_owned())
            })?;
            Ok(scripted_reply(request, text))
        })
    }

    /// All requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.batches().concat()
    }

    /// The requests of each call so far.
    #[must_use]
    pub fn batches(&self) -> Vec<Vec<ChatRequest>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ChatModel for Scripted {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push(requests.to_vec());
        for (i, request) in requests.iter().enumerate() {
            on_reply(i, (self.script)(request));
        }
    }
}

/// A whole reply to `request`, with words counted as tokens.
fn scripted_reply(request: &ChatRequest, text: String) -> ChatReply {
    let words = |text: &str| text.split_whitespace().count();
    ChatReply {
        finish: FinishReason::Stop,
        prompt_tokens: request.messages.iter().map(|m| words(&m.content)).sum(),
        completion_tokens: words(&text),
        text,
    }
}

type ScoreScript = dyn Fn(&ScoreRequest) -> Result<Score, ChatError> + Send + Sync;

/// A [`Scorer`] that takes its log-probabilities from a function.
///
/// # Examples
/// ```
/// use ingrain_chat::{Score, ScoreRequest, ScriptedScorer, Scorer};
///
/// // A nat for every word.
/// let scorer = ScriptedScorer::from_fn(|request| {
///     let logprobs = vec![-1.0; request.continuation.split_whitespace().count()];
///     Score { token_ids: vec![0; logprobs.len()], logprobs }
/// });
/// let request = ScoreRequest { messages: vec![], continuation: "Oh, how thrilling.".into() };
/// let scores = scorer.logprobs(&[request]);
/// assert_eq!(scores[0].as_ref().map(Score::total).ok(), Some(-3.0));
/// ```
pub struct ScriptedScorer(Box<ScoreScript>);

impl ScriptedScorer {
    /// Scores each request with what `score` returns for it.
    pub fn from_fn(score: impl Fn(&ScoreRequest) -> Score + Send + Sync + 'static) -> Self {
        Self::try_from_fn(move |request| Ok(score(request)))
    }

    /// Like [`from_fn`](Self::from_fn), where some requests fail.
    pub fn try_from_fn(
        score: impl Fn(&ScoreRequest) -> Result<Score, ChatError> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(score))
    }
}

impl Scorer for ScriptedScorer {
    fn logprobs(&self, requests: &[ScoreRequest]) -> Vec<Result<Score, ChatError>> {
        requests.iter().map(|request| (self.0)(request)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Sampling};

    #[test]
    fn a_list_is_used_up_in_order_and_then_fails_by_name() {
        let model = Scripted::replies(["one", "two"]);
        let request = |text: &str| ChatRequest::new(vec![Message::user(text)], Sampling::default());
        let results = model.complete_all(&[request("a"), request("b"), request("c")]);
        let texts: Vec<_> = results.iter().flatten().map(|r| r.text.as_str()).collect();
        assert_eq!(texts, ["one", "two"]);
        assert!(matches!(&results[2], Err(ChatError::NotRecorded(q)) if q == "c"));
    }
}
