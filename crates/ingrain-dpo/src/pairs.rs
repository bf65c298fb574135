//! From preference pairs to token sequences.

use ingrain_data::PreferencePair;
use ingrain_lm::TokenSequence;
use ingrain_tokenizer::ChatTokenizer;

use crate::DpoError;

/// A preference pair as tokens: two conversations, the last assistant turn of each being the
/// completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedPair {
    /// Name of the pair in messages.
    pub id: String,
    /// The conversation with the preferred reply.
    pub chosen: TokenSequence,
    /// The conversation with the other reply.
    pub rejected: TokenSequence,
}

impl TokenizedPair {
    /// Tokens of the longer conversation.
    #[must_use]
    pub fn width(&self) -> usize {
        self.chosen.ids.len().max(self.rejected.ids.len())
    }

    /// Chosen, then rejected.
    #[must_use]
    pub fn sequences(&self) -> crate::Sequences<'_> {
        vec![&self.chosen, &self.rejected]
    }
}

/// A pair that was left out because a conversation is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Name of the pair.
    pub id: String,
    /// Tokens of its longer conversation.
    pub tokens: usize,
}

/// Renders and tokenises `pairs` with the model's chat template; those longer than `max_length`
/// tokens come back in the second list.
///
/// The completion is the whole last turn, its end-of-turn tokens included; what a template writes
/// after that is cut off. Pairs without an id are called by their place, counted from 0.
///
/// # Errors
/// [`DpoError::Pair`] if a reply is not one assistant message, [`DpoError::Tokenizer`] if the
/// template refuses the conversation.
pub fn tokenize_pairs(
    pairs: &[PreferencePair],
    tokenizer: &ChatTokenizer,
    max_length: usize,
) -> Result<(Vec<TokenizedPair>, Vec<TooLong>), DpoError> {
    let mut kept = Vec::with_capacity(pairs.len());
    let mut too_long = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let id = pair.id.clone().unwrap_or_else(|| format!("#{index}"));
        let encode = |conversation: Vec<ingrain_chat::Message>| {
            let spans = tokenizer
                .encode_turns(&conversation)
                .map_err(|source| DpoError::Tokenizer { id: id.clone(), source })?;
            completion(spans.last_assistant_mask(), spans.ids).ok_or_else(|| DpoError::Pair {
                id: id.clone(),
                problem: "the reply has no tokens to learn from".to_owned(),
            })
        };
        for (side, messages) in [("chosen", &pair.chosen), ("rejected", &pair.rejected)] {
            let one_reply = matches!(&messages[..], [m] if m.role == ingrain_chat::Role::Assistant);
            if !one_reply {
                let problem = format!("`{side}` must be exactly one assistant message");
                return Err(DpoError::Pair { id, problem });
            }
        }
        let chosen = encode(pair.chosen_conversation())?;
        let rejected = encode(pair.rejected_conversation())?;
        let pair = TokenizedPair { id, chosen, rejected };
        if pair.width() > max_length {
            too_long.push(TooLong { tokens: pair.width(), id: pair.id });
        } else {
            kept.push(pair);
        }
    }
    Ok((kept, too_long))
}

/// Cuts off what follows the last completion token; `None` if there is none to predict.
pub(crate) fn completion(mut mask: Vec<bool>, mut ids: Vec<u32>) -> Option<TokenSequence> {
    let end = mask.iter().rposition(|&is| is)? + 1;
    mask.truncate(end);
    ids.truncate(end);
    let sequence = TokenSequence { ids, completion: mask };
    (sequence.completion_len() > 0).then_some(sequence)
}
