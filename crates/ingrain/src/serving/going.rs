//! One job at work.

use std::ops::ControlFlow;
use std::sync::Arc;

use ingrain_chat::{FinishReason, Sampling};
use ingrain_lm::{Prompt, ReplyText, ScoredText, Token, Variant};
use ingrain_serve::{Event, Refusal, Replies, TokenText};
use ingrain_tokenizer::ChatTokenizer;

/// A job whose prompt has been accepted.
pub(super) struct Going<'t> {
    pub(super) ids: Vec<u32>,
    pub(super) sampling: Sampling,
    pub(super) variant: Arc<Variant>,
    pub(super) logprobs: Option<usize>,
    tokenizer: &'t ChatTokenizer,
    text: ReplyText<'t>,
    replies: Replies,
}

impl<'t> Going<'t> {
    pub(super) fn new(
        ids: Vec<u32>,
        sampling: Sampling,
        variant: Arc<Variant>,
        logprobs: Option<usize>,
        tokenizer: &'t ChatTokenizer,
        replies: Replies,
    ) -> Self {
        let text = ReplyText::new(tokenizer, &sampling.stop);
        Self { ids, sampling, variant, logprobs, tokenizer, text, replies }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.replies.is_wanted()
    }

    pub(super) fn prompt(&self) -> Prompt {
        Prompt {
            ids: self.ids.clone(),
            sampling: self.sampling.clone(),
            variant: Some(self.variant.clone()),
            alternatives: self.logprobs.unwrap_or(0),
        }
    }

    /// Whether the prompt's own scores say all there is to say: nothing more is wanted, or one token that
    /// they already name.
    pub(super) fn ends_with_prompt(&self) -> bool {
        let Sampling { max_new_tokens, temperature, repetition_penalty, .. } = self.sampling;
        max_new_tokens == 0
            || (max_new_tokens == 1 && temperature <= 0.0 && repetition_penalty == 1.0)
    }

    /// Gives the prompt back.
    pub(super) fn echo(&self, scored: Option<&ScoredText>) -> Result<(), Refusal> {
        let text = self.tokenizer.decode(&self.ids, false);
        let text = text.map_err(|error| Refusal::Broken(error.to_string()))?;
        let mut tokens = Vec::new();
        if let Some(scored) = scored {
            let first = self.ids.first().map(|&id| TokenText {
                text: self.spelling(id),
                logprob: None,
                alternatives: Vec::new(),
            });
            tokens.extend(first);
            tokens.extend(scored.tokens.iter().map(|token| self.describe(token)));
        }
        // Whether anybody hears it shows at the next event.
        let _ = self.replies.send(Event::Text { text, tokens });
        Ok(())
    }

    /// Sends what a new token adds; `Break` if the reply ends here or nobody listens.
    pub(super) fn push(&mut self, token: &Token) -> ControlFlow<()> {
        let met = match self.text.push(token.id) {
            Ok(met) => met,
            Err(error) => {
                let _ = self.replies.send(Event::Failed(Refusal::Broken(error.to_string())));
                return ControlFlow::Break(());
            }
        };
        let tokens = self.logprobs.map(|_| self.describe(token)).into_iter().collect::<Vec<_>>();
        let text = self.text.take_new().to_owned();
        let heard = if text.is_empty() && tokens.is_empty() {
            self.replies.is_wanted()
        } else {
            self.replies.send(Event::Text { text, tokens })
        };
        if met || !heard { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub(super) fn finish(mut self, finish: FinishReason, completion_tokens: usize) {
        // Bytes that never became a character are all that can be left, and are not worth an error.
        let _ = self.text.finish();
        let text = self.text.take_new().to_owned();
        if !text.is_empty() {
            let _ = self.replies.send(Event::Text { text, tokens: Vec::new() });
        }
        let _ = self.replies.send(Event::Done { finish, completion_tokens });
    }

    pub(super) fn refuse(self, refusal: Refusal) {
        let _ = self.replies.send(Event::Failed(refusal));
    }

    fn describe(&self, token: &Token) -> TokenText {
        let other = |&(id, logprob): &(u32, f32)| (self.spelling(id), logprob);
        TokenText {
            text: self.spelling(token.id),
            logprob: Some(token.logprob),
            alternatives: token.alternatives.iter().map(other).collect(),
        }
    }

    /// A token's text; where it is a part of a character, its spelling in the vocabulary.
    fn spelling(&self, id: u32) -> String {
        match self.tokenizer.decode(&[id], false) {
            Ok(text) if !text.contains('\u{FFFD}') => text,
            _ => self.tokenizer.token(id).unwrap_or_else(|| format!("<{id}>")),
        }
    }
}
