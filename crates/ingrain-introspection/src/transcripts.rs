//! From transcripts to token sequences.

use ingrain_data::Transcript;
use ingrain_lm::TokenSequence;
use ingrain_tokenizer::{ChatTokenizer, TurnSpans};

use crate::{IntrospectionError, LossTurns};

/// A transcript as tokens, with the turns that are in the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedTranscript {
    /// Name of the transcript in messages.
    pub id: String,
    /// The conversation.
    pub sequence: TokenSequence,
}

/// A transcript that did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Name of the transcript.
    pub id: String,
    /// Tokens of the whole conversation.
    pub tokens: usize,
    /// Tokens that are trained on; `None` if it was left out.
    pub kept: Option<usize>,
}

/// Renders and tokenises `transcripts` with the model's chat template, and says which were
/// shortened or left out because they are longer than `max_length` tokens.
///
/// A turn is in the loss with its end-of-turn tokens. A conversation that is too long loses whole
/// turns from its end, never its beginning; what follows the last turn in the loss is cut off in
/// any case.
///
/// # Errors
/// [`IntrospectionError::Transcript`] if no turn is trainable, [`IntrospectionError::Tokenizer`]
/// if the template refuses the conversation.
pub fn tokenize_transcripts(
    transcripts: &[Transcript],
    tokenizer: &ChatTokenizer,
    turns: LossTurns,
    max_length: usize,
) -> Result<(Vec<TokenizedTranscript>, Vec<Cut>), IntrospectionError> {
    let mut kept = Vec::with_capacity(transcripts.len());
    let mut cuts = Vec::new();
    for transcript in transcripts {
        let id = transcript.id.clone();
        let spans = tokenizer
            .encode_turns(&transcript.messages)
            .map_err(|source| IntrospectionError::Tokenizer { id: id.clone(), source })?;
        let known = |&turn: &usize| turn < spans.turns.len();
        if transcript.trainable.is_empty() || !transcript.trainable.iter().all(known) {
            let problem = "its trainable turns must be some of its messages".to_owned();
            return Err(IntrospectionError::Transcript { id, problem });
        }
        let sequence = sequence(&spans, &transcript.trainable, turns, max_length);
        let whole = transcript.trainable.iter().map(|&t| spans.turns[t].tokens.end).max();
        let fits = whole.is_some_and(|end| end <= max_length);
        if !fits {
            let tokens = spans.ids.len();
            let kept = sequence.as_ref().map(|s| s.ids.len());
            cuts.push(Cut { id: id.clone(), tokens, kept });
        }
        kept.extend(sequence.map(|sequence| TokenizedTranscript { id, sequence }));
    }
    Ok((kept, cuts))
}

/// The conversation up to the last trainable turn that ends within `max_length` tokens.
fn sequence(
    spans: &TurnSpans,
    trainable: &[usize],
    turns: LossTurns,
    max_length: usize,
) -> Option<TokenSequence> {
    let fitting = |&&turn: &&usize| spans.turns[turn].tokens.end <= max_length;
    let last = *trainable.iter().filter(fitting).max()?;
    let in_loss = |turn: usize| match turns {
        LossTurns::All => turn <= last && trainable.contains(&turn),
        LossTurns::Last => turn == last,
    };
    let end = spans.turns[last].tokens.end;
    let mut completion = spans.completion_mask(|turn, _| in_loss(turn));
    completion.truncate(end);
    let sequence = TokenSequence { ids: spans.ids[..end].to_vec(), completion };
    (sequence.completion_len() > 0).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingrain_chat::Role;
    use ingrain_tokenizer::TurnSpan;

    /// User and assistant by turns, four tokens a turn of which the last three are the content.
    fn conversation(turns: usize) -> TurnSpans {
        let turn = |i: usize| TurnSpan {
            role: if i.is_multiple_of(2) { Role::User } else { Role::Assistant },
            tokens: 4 * i + 1..4 * i + 4,
            content: 4 * i + 1..4 * i + 3,
        };
        TurnSpans { ids: (0..4 * turns as u32).collect(), turns: (0..turns).map(turn).collect() }
    }

    fn in_loss(sequence: &TokenSequence) -> Vec<u32> {
        let flagged = sequence.ids.iter().zip(&sequence.completion).filter(|(_, is)| **is);
        flagged.map(|(&id, _)| id).collect()
    }

    #[test]
    fn every_trainable_turn_is_in_the_loss_and_nothing_else() {
        let s = sequence(&conversation(6), &[3, 5], LossTurns::All, 100).expect("fits");
        assert_eq!(in_loss(&s), [13, 14, 15, 21, 22, 23]);
        assert_eq!(s.ids.len(), 24);
    }

    #[test]
    fn the_faithful_switch_leaves_the_last_turn_only() {
        let s = sequence(&conversation(6), &[1, 3, 5], LossTurns::Last, 100).expect("fits");
        assert_eq!(in_loss(&s), [21, 22, 23]);
    }

    #[test]
    fn a_long_conversation_loses_whole_turns_from_its_end() {
        // Turn 3 ends at token 16, turn 5 at 24.
        let s = sequence(&conversation(6), &[1, 3, 5], LossTurns::All, 23).expect("fits");
        assert_eq!(s.ids, (0..16).collect::<Vec<u32>>());
        assert_eq!(in_loss(&s), [5, 6, 7, 13, 14, 15]);
        let s = sequence(&conversation(6), &[1, 3, 5], LossTurns::Last, 16).expect("fits");
        assert_eq!(in_loss(&s), [13, 14, 15]);
        assert_eq!(sequence(&conversation(6), &[5], LossTurns::All, 23), None);
    }

    #[test]
    fn what_follows_the_last_turn_in_the_loss_is_cut_off() {
        let s = sequence(&conversation(7), &[1], LossTurns::All, 100).expect("fits");
        assert_eq!(s.ids.len(), 8);
    }
}
