//! The two seams that everything else stands on: [`ChatModel`] and [`Scorer`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ChatError, Message};

/// How the next token is chosen.
///
/// Filters apply in the order repetition penalty, temperature, top-k, top-p, min-p.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Upper bound of the reply, in tokens. Default 256.
    pub max_new_tokens: usize,
    /// 0 is greedy. Default 0.7, the paper's value.
    pub temperature: f32,
    /// Nucleus: keep the smallest set of tokens whose probability reaches this. 1 is off. Default 0.95 (paper).
    pub top_p: f32,
    /// Keep the k best tokens; 0 is off.
    pub top_k: usize,
    /// Drop tokens less likely than this share of the best one; 0 is off.
    pub min_p: f32,
    /// Divides positive (multiplies negative) logits of tokens already seen in prompt or reply; 1 is off. Default 1.1 (paper).
    pub repetition_penalty: f32,
    /// Texts that end the reply; they are not part of it.
    pub stop: Vec<String>,
    /// Seed of this one request.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            max_new_tokens: 256,
            temperature: 0.7,
            top_p: 0.95,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.1,
            stop: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Always the most likely token, no penalty.
    #[must_use]
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self {
            max_new_tokens,
            temperature: 0.0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            ..Self::default()
        }
    }
}

/// One conversation to be continued by an assistant turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation so far. If its last message is the assistant's, the reply continues that text.
    pub messages: Vec<Message>,
    /// How to sample.
    pub sampling: Sampling,
}

impl ChatRequest {
    /// A conversation and how to sample its next turn.
    #[must_use]
    pub fn new(messages: Vec<Message>, sampling: Sampling) -> Self {
        Self { messages, sampling }
    }
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn, or a stop text was met.
    Stop,
    /// `max_new_tokens` or the context was used up.
    Length,
}

/// A finished reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// The text of the assistant turn (only the new part, if the request ended in an assistant message).
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of the rendered prompt.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
}

/// Anything that continues conversations: a local model, an endpoint, recorded replies, a script.
pub trait ChatModel: Send + Sync {
    /// Answers all `requests`; calls `on_reply` once for each, with its index, as it finishes.
    ///
    /// One failure costs one request: the others still get their replies. Implementations may batch
    /// or run requests concurrently; the order of calls is theirs.
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    );

    /// Whether a reply may depend on the other requests of its call: by rounding in other batch
    /// shapes, or because equal requests are told apart by their order. If not, a resumed stage
    /// sends only what is missing.
    fn batch_matters(&self) -> bool {
        true
    }

    /// What this model's replies cost so far, in the user's currency, where somebody counts
    /// ([`crate::Metered`]).
    fn cost(&self) -> Option<f64> {
        None
    }

    /// Answers all `requests` and returns the replies in their order.
    ///
    /// A request that the implementation never answered is [`ChatError::Model`].
    fn complete_all(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        let mut replies: Vec<_> = requests.iter().map(|_| None).collect();
        self.complete(requests, &mut |i, reply| {
            if let Some(slot) = replies.get_mut(i) {
                *slot = Some(reply);
            }
        });
        let unanswered = || Err(ChatError::Model("it gave no reply to a request".to_owned()));
        replies.into_iter().map(|reply| reply.unwrap_or_else(unanswered)).collect()
    }

    /// Answers one request.
    ///
    /// # Errors
    /// That of the request.
    fn complete_one(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let mut replies = self.complete_all(std::slice::from_ref(request));
        replies.pop().unwrap_or_else(|| Err(ChatError::Model("it gave no reply".to_owned())))
    }
}

/// What points to a chat model is one.
macro_rules! pointer_to_model {
    ($($pointer:ty),+) => {$(
        impl<M: ChatModel + ?Sized> ChatModel for $pointer {
            fn complete(
                &self,
                requests: &[ChatRequest],
                on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
            ) {
                (**self).complete(requests, on_reply);
            }

            fn batch_matters(&self) -> bool {
                (**self).batch_matters()
            }

            fn cost(&self) -> Option<f64> {
                (**self).cost()
            }
        }
    )+};
}

pointer_to_model!(&M, Box<M>, Arc<M>);

/// A prompt and a given continuation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreRequest {
    /// The conversation that precedes the continuation.
    pub messages: Vec<Message>,
    /// The assistant turn to score.
    pub continuation: String,
}

/// Log-probabilities of a continuation's tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Token ids of the continuation, end-of-turn tokens included.
    pub token_ids: Vec<u32>,
    /// Nats, one a token.
    pub logprobs: Vec<f32>,
}

impl Score {
    /// Sum over tokens, in nats.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|&l| f64::from(l)).sum()
    }

    /// Mean a token, in nats; 0 for an empty continuation.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.logprobs.is_empty() { 0.0 } else { self.total() / self.logprobs.len() as f64 }
    }
}

/// Anything that gives the log-probabilities of a given text.
pub trait Scorer: Send + Sync {
    /// One result a request, in order.
    fn logprobs(&self, requests: &[ScoreRequest]) -> Vec<Result<Score, ChatError>>;
}
