//! Replies with a label, as text and as tokens.

use ingrain_chat::{Message, Role};
use ingrain_data::PreferencePair;
use ingrain_lm::TokenSequence;
use ingrain_tokenizer::ChatTokenizer;
use serde::{Deserialize, Serialize};

use crate::pairs::completion;
use crate::{DpoError, TooLong};

/// One reply and whether it is desirable: a line of TRL's unpaired preference format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpairedReply {
    /// The conversation up to the reply.
    pub prompt: Vec<Message>,
    /// The reply: one assistant message.
    pub completion: Vec<Message>,
    /// Whether it is desirable.
    pub label: bool,
}

/// Both replies of every pair as replies of their own: the chosen ones, then the rejected ones.
#[must_use]
pub fn split_pairs(pairs: &[PreferencePair]) -> Vec<UnpairedReply> {
    let reply = |pair: &PreferencePair, label: bool| {
        let completion = if label { &pair.chosen } else { &pair.rejected };
        UnpairedReply { prompt: pair.prompt.clone(), completion: completion.clone(), label }
    };
    let chosen = pairs.iter().map(|pair| reply(pair, true));
    chosen.chain(pairs.iter().map(|pair| reply(pair, false))).collect()
}

/// A labelled reply as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedReply {
    /// Name of the reply in messages: its place in the data.
    pub id: String,
    /// Whether it is desirable.
    pub desirable: bool,
    /// The conversation; the reply is the completion.
    pub sequence: TokenSequence,
    /// The same prompt with the reply to another one as completion: what KTO estimates the divergence
    /// from the reference on.
    pub mismatched: TokenSequence,
}

/// Renders and tokenises replies with the model's chat template; those longer than `max_length` tokens,
/// themselves or mismatched, come back in the second list.
///
/// A prompt's mismatched reply is that of the next reply in the data whose prompt differs, so that it
/// does not depend on batches.
///
/// # Errors
/// [`DpoError::Pair`] if a reply is not one assistant message, [`DpoError::Tokenizer`] if the template
/// refuses the conversation.
pub fn tokenize_replies(
    replies: &[UnpairedReply],
    tokenizer: &ChatTokenizer,
    max_length: usize,
) -> Result<(Vec<TokenizedReply>, Vec<TooLong>), DpoError> {
    let (mut kept, mut too_long) = (Vec::with_capacity(replies.len()), Vec::new());
    for (at, reply) in replies.iter().enumerate() {
        let id = format!("#{at}");
        if !matches!(&reply.completion[..], [m] if m.role == Role::Assistant) {
            let problem = "`completion` must be exactly one assistant message".to_owned();
            return Err(DpoError::Pair { id, problem });
        }
        let encode = |completion_of: &UnpairedReply| {
            let messages: Vec<Message> =
                reply.prompt.iter().chain(&completion_of.completion).cloned().collect();
            let spans = tokenizer
                .encode_turns(&messages)
                .map_err(|source| DpoError::Tokenizer { id: id.clone(), source })?;
            completion(spans.last_assistant_mask(), spans.ids).ok_or_else(|| DpoError::Pair {
                id: id.clone(),
                problem: "the reply has no tokens to learn from".to_owned(),
            })
        };
        let sequence = encode(reply)?;
        let mismatched = encode(mismatch(replies, at))?;
        let tokens = sequence.ids.len().max(mismatched.ids.len());
        if tokens > max_length {
            too_long.push(TooLong { id, tokens });
        } else {
            kept.push(TokenizedReply { id, desirable: reply.label, sequence, mismatched });
        }
    }
    Ok((kept, too_long))
}

/// The next reply whose prompt differs, around the end of the data; the reply itself if there is none.
fn mismatch(replies: &[UnpairedReply], at: usize) -> &UnpairedReply {
    let own = &replies[at];
    let others = replies[at + 1..].iter().chain(&replies[..at]);
    others.into_iter().find(|other| other.prompt != own.prompt).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_fall_apart_into_desirable_and_undesirable_replies() {
        let pairs = [PreferencePair::new("a?", "A!", "a."), PreferencePair::new("b?", "B!", "b.")];
        let replies = split_pairs(&pairs);
        let text = |r: &UnpairedReply| (r.completion[0].content.clone(), r.label);
        let texts: Vec<_> = replies.iter().map(text).collect();
        let expected = [("A!", true), ("B!", true), ("a.", false), ("b.", false)];
        assert_eq!(texts, expected.map(|(text, label)| (text.to_owned(), label)));
        // Around the end, and never a reply to the same prompt.
        assert_eq!(mismatch(&replies, 0).completion[0].content, "B!");
        assert_eq!(mismatch(&replies, 1).completion[0].content, "a.");
        assert_eq!(mismatch(&replies, 3).completion[0].content, "A!");
    }
}
