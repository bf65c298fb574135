//! Reflections and conversations to one introspection set, with masks.

use std::collections::BTreeMap;
use std::convert::Infallible;

use ingrain_chat::Message;
use ingrain_constitution::InteractionKind;
use serde::{Deserialize, Serialize};

use crate::interaction::GREETING_TURNS;
use crate::pair_filter::{DropReason, Dropped};
use crate::replies::in_order;
use crate::sentence::finish_text;
use crate::view::{first_turn, speaker, view};
use crate::{
    Conversation, DataFidelity, Fidelity, Replies, Reply, Transcript, TranscriptKind, Unfinished,
    is_finished,
};

/// How the introspection set is put together.
///
/// Reflections are saved without the system prompt that they were written under; conversations with
/// the short, neutral `saved_system`, from the side that has the last word.
pub struct Assembly<'a> {
    /// System prompt that conversations are saved with.
    pub saved_system: &'a str,
    /// Longest transcript, in tokens. Paper: 3,072.
    pub max_tokens: usize,
    /// Tokens of a rendered conversation.
    pub count_tokens: &'a dyn Fn(&[Message]) -> usize,
    /// What happens to a reflection that the token limit cut off.
    pub unfinished: Unfinished,
    /// Repaired or reproduced defects: `last_turn`, `loss_turns`, `length`.
    pub fidelity: DataFidelity,
}

/// What became of reflections and conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssemblyReport {
    /// Reflections in the set.
    pub reflections: usize,
    /// Free conversations in the set.
    pub free: usize,
    /// Leading conversations in the set.
    pub leading: usize,
    /// Turns in the loss.
    pub trainable_turns: usize,
    /// Transcripts that lack text: trimmed reflections, shortened or broken-off conversations.
    pub shortened: usize,
    /// How many were left out, by reason.
    pub dropped: BTreeMap<DropReason, usize>,
    /// Which ones.
    pub dropped_ids: Vec<Dropped>,
}

impl AssemblyReport {
    fn drop(&mut self, id: &str, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
        self.dropped_ids.push(Dropped { id: id.to_owned(), reason });
    }
}

impl Assembly<'_> {
    /// The set, and what was left out and why: reflections by task and sample, then conversations
    /// as they come. Shuffling is the trainer's.
    #[must_use]
    pub fn transcripts(
        &self,
        reflections: &[Reply],
        conversations: &[Conversation],
    ) -> (Vec<Transcript>, AssemblyReport) {
        let mut set = Vec::new();
        let conversations = conversations.iter().cloned().map(Ok);
        let Ok(report) = self.each_transcript(reflections, conversations, |transcript| {
            set.push(transcript);
            Ok::<_, Infallible>(())
        });
        (set, report)
    }

    /// Like [`transcripts`](Self::transcripts), from files that need not fit into memory: `take` is handed one
    /// transcript at a time, and no other text is held.
    ///
    /// # Errors
    /// For a record that cannot be read, and what `take` returns.
    pub fn each_transcript<R: Replies + ?Sized, E: From<R::Error>>(
        &self,
        reflections: &R,
        conversations: impl IntoIterator<Item = Result<Conversation, R::Error>>,
        mut take: impl FnMut(Transcript) -> Result<(), E>,
    ) -> Result<AssemblyReport, E> {
        let mut report = AssemblyReport::default();
        let mut keep = |report: &mut AssemblyReport,
                        (transcript, shortened): (Transcript, bool)| {
            report.shortened += usize::from(shortened);
            report.trainable_turns += transcript.trainable.len();
            take(transcript)
        };
        for index in in_order(reflections)? {
            let reflection = reflections.reply(index)?;
            match self.reflection(&reflection) {
                Ok(kept) => {
                    report.reflections += 1;
                    keep(&mut report, kept)?;
                }
                Err(reason) => report.drop(&reflection.id, reason),
            }
        }
        for conversation in conversations {
            let conversation = conversation?;
            match self.conversation(&conversation) {
                Ok(kept) => {
                    match conversation.kind {
                        InteractionKind::Free => report.free += 1,
                        InteractionKind::Leading => report.leading += 1,
                    }
                    keep(&mut report, kept)?;
                }
                Err(reason) => report.drop(&conversation.id, reason),
            }
        }
        Ok(report)
    }

    /// The transcript, and whether text was lost.
    fn reflection(&self, reflection: &Reply) -> Result<(Transcript, bool), DropReason> {
        let raw = reflection.reply.trim();
        let mut text = finish_text(raw, self.unfinished).to_owned();
        if raw.is_empty() {
            return Err(DropReason::Empty);
        }
        if text.is_empty() || (self.unfinished == Unfinished::Drop && !is_finished(&text)) {
            return Err(DropReason::Unfinished);
        }
        let with = |text: &str| vec![Message::user(&reflection.question), Message::assistant(text)];
        if (self.count_tokens)(&with(&text)) > self.max_tokens {
            if self.fidelity.length == Fidelity::Corrected {
                return Err(DropReason::TooLong);
            }
            let fits = |text: &str| (self.count_tokens)(&with(text)) <= self.max_tokens;
            text = cut_words(&text, fits).ok_or(DropReason::TooLong)?.to_owned();
        }
        let transcript = Transcript {
            id: reflection.id.clone(),
            kind: TranscriptKind::Reflection,
            messages: with(&text),
            trainable: vec![1],
        };
        Ok((transcript, text != raw))
    }

    fn conversation(&self, conversation: &Conversation) -> Result<(Transcript, bool), DropReason> {
        if conversation.turns.len() <= GREETING_TURNS {
            return Err(DropReason::Empty);
        }
        let side = conversation.last_speaker();
        let mut turns: Vec<&str> = conversation.turns.iter().map(String::as_str).collect();
        if self.fidelity.last_turn == Fidelity::Faithful {
            turns.pop();
        }
        let whole = turns.len();
        if self.fidelity.length == Fidelity::Corrected {
            self.shorten_at_the_end(side, &mut turns)?;
        }
        let mut transcript = self.saved(conversation, side, &turns);
        let mut shortened = turns.len() < whole || !conversation.complete;
        if self.fidelity.length == Fidelity::Faithful {
            shortened |= self.cut_from_the_left(&mut transcript)?;
        }
        if transcript.trainable.is_empty() {
            return Err(DropReason::TooLong);
        }
        Ok((transcript, shortened))
    }

    fn saved(&self, conversation: &Conversation, side: usize, turns: &[&str]) -> Transcript {
        let messages = view(side, Some(self.saved_system), turns.iter().copied());
        // Message 0 is the system prompt, message 1 the view's first turn.
        let at = |turn: usize| 1 + turn - first_turn(side);
        let trainable = match self.fidelity.loss_turns {
            Fidelity::Corrected => {
                let generated = GREETING_TURNS..turns.len();
                generated.filter(|&t| speaker(t) == side).map(at).collect()
            }
            Fidelity::Faithful => vec![messages.len() - 1],
        };
        Transcript {
            id: conversation.id.clone(),
            kind: TranscriptKind::Interaction,
            messages,
            trainable,
        }
    }

    /// Takes whole exchanges off the end until the rest fits; the assistant keeps the last word.
    fn shorten_at_the_end(&self, side: usize, turns: &mut Vec<&str>) -> Result<(), DropReason> {
        let tokens = |turns: &[&str]| {
            (self.count_tokens)(&view(side, Some(self.saved_system), turns.iter().copied()))
        };
        while tokens(turns) > self.max_tokens {
            if turns.len() < GREETING_TURNS + 2 {
                return Err(DropReason::TooLong);
            }
            turns.truncate(turns.len() - 2);
        }
        Ok(())
    }

    /// Takes messages off the beginning, system prompt first. Whether any went.
    fn cut_from_the_left(&self, transcript: &mut Transcript) -> Result<bool, DropReason> {
        let mut cut = 0;
        while (self.count_tokens)(&transcript.messages[cut..]) > self.max_tokens {
            cut += 1;
            if cut == transcript.messages.len() {
                return Err(DropReason::TooLong);
            }
        }
        transcript.messages.drain(..cut);
        transcript.trainable.retain(|&i| i >= cut);
        transcript.trainable.iter_mut().for_each(|i| *i -= cut);
        Ok(cut > 0)
    }
}

/// The longest beginning of whole words that fits; `None` if not even one does.
pub(crate) fn cut_words(text: &str, fits: impl Fn(&str) -> bool) -> Option<&str> {
    let ends: Vec<usize> = word_ends(text);
    let count = ends.partition_point(|&end| fits(&text[..end]));
    count.checked_sub(1).map(|last| &text[..ends[last]])
}

fn word_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut inside = false;
    for (i, c) in text.char_indices() {
        if inside && c.is_whitespace() {
            ends.push(i);
        }
        inside = !c.is_whitespace();
    }
    if inside {
        ends.push(text.len());
    }
    ends
}
