//! Teacher and student replies to preference pairs, with a reason for every pair that is left out.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use ingrain_chat::{FinishReason, Message};
use serde::{Deserialize, Serialize};

use crate::assembly::cut_words;
use crate::name_leak::{mentions, rename};
use crate::sentence::finish_text;
use crate::{
    DataFidelity, Fidelity, PreferencePair, Prompt, Replies, Reply, Unfinished, is_finished,
    is_refusal,
};

/// Which pairs are fit to train on.
pub struct PairFilter<'a> {
    /// Longest conversation (prompt and reply, rendered), in tokens. Paper: 1,024.
    pub max_tokens: usize,
    /// Tokens of a rendered conversation.
    pub count_tokens: &'a dyn Fn(&[Message]) -> usize,
    /// What happens to a reply that stops in the middle of a sentence. Paper: drop.
    pub unfinished: Unfinished,
    /// What the teacher calls itself and its maker; none for recorded replies.
    pub teacher_names: &'a [String],
    /// Put in place of the teacher's names. Without it, a pair whose chosen reply holds one is
    /// dropped.
    pub student_name: Option<&'a str>,
    /// Repaired or reproduced defects: `length`.
    pub fidelity: DataFidelity,
}

/// Why something is left out of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// There is no reply of the teacher's or none of the student's.
    Unpaired,
    /// A reply says nothing.
    Empty,
    /// A reply does not end in punctuation.
    Unfinished,
    /// The teacher declined, or stepped out of its role.
    Refused,
    /// The teacher named itself.
    NameLeak,
    /// Both replies are the same.
    Identical,
    /// Prompt and reply are longer than the limit.
    TooLong,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Its id.
    pub id: String,
    /// Why; the first reason in the order of [`DropReason`].
    pub reason: DropReason,
}

/// What the filter did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterReport {
    /// Pairs looked at.
    pub candidates: usize,
    /// Pairs kept.
    pub kept: usize,
    /// Kept pairs in which a name of the teacher's was replaced.
    pub renamed: usize,
    /// Kept pairs in which a reply was cut back to its last whole sentence.
    pub trimmed: usize,
    /// How many were dropped, by reason.
    pub dropped: BTreeMap<DropReason, usize>,
    /// Which ones.
    pub dropped_ids: Vec<Dropped>,
}

impl FilterReport {
    /// `76 of 100 pairs kept; dropped: 20 unfinished, 4 too long`.
    ///
    /// # Examples
    /// ```
    /// use ingrain_data::{DropReason, FilterReport};
    ///
    /// let dropped = [(DropReason::TooLong, 4), (DropReason::Unfinished, 20)].into();
    /// let report = FilterReport { candidates: 100, kept: 76, dropped, ..FilterReport::default() };
    /// assert_eq!(report.line(), "76 of 100 pairs kept; dropped: 20 unfinished, 4 too long");
    /// ```
    #[must_use]
    pub fn line(&self) -> String {
        let kept = format!("{} of {} pairs kept", self.kept, self.candidates);
        if self.dropped.is_empty() {
            return kept;
        }
        let reasons: Vec<_> =
            self.dropped.iter().map(|(reason, n)| format!("{n} {}", reason.words())).collect();
        format!("{kept}; dropped: {}", reasons.join(", "))
    }
}

impl DropReason {
    /// The reason in words: `too long`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Unpaired => "without a partner",
            Self::Empty => "empty",
            Self::Unfinished => "unfinished",
            Self::Refused => "refused",
            Self::NameLeak => "naming the teacher",
            Self::Identical => "identical",
            Self::TooLong => "too long",
        }
    }
}

/// A pair on its way through the filter.
struct Candidate<'a> {
    id: String,
    prompt: &'a Prompt,
    chosen: String,
    rejected: String,
    renamed: bool,
    trimmed: bool,
    /// The token limit was used up before a reply began: inside a trace.
    cut_off: bool,
}

impl PairFilter<'_> {
    /// One pair for each teacher reply, in the order of prompts and samples. With fewer student
    /// replies than teacher replies to a prompt, the student's are used in turn.
    #[must_use]
    pub fn pairs(
        &self,
        prompts: &[Prompt],
        teacher: &[Reply],
        student: &[Reply],
    ) -> (Vec<PreferencePair>, FilterReport) {
        let mut pairs = Vec::new();
        let Ok(report) = self.each_pair(prompts, teacher, student, |pair| {
            pairs.push(pair);
            Ok::<_, Infallible>(())
        });
        (pairs, report)
    }

    /// Like [`pairs`](Self::pairs), from files that need not fit into memory: `take` is handed one pair at a
    /// time, and no other text is held.
    ///
    /// # Errors
    /// For a reply that cannot be read, and what `take` returns.
    pub fn each_pair<R: Replies + ?Sized, E: From<R::Error>>(
        &self,
        prompts: &[Prompt],
        teacher: &R,
        student: &R,
        mut take: impl FnMut(PreferencePair) -> Result<(), E>,
    ) -> Result<FilterReport, E> {
        let (chosen, rejected) = (by_prompt(prompts, teacher)?, by_prompt(prompts, student)?);
        let mut report = FilterReport::default();
        for prompt in prompts {
            let (chosen, rejected) = (&chosen[&*prompt.id], &rejected[&*prompt.id]);
            if chosen.is_empty() || rejected.is_empty() {
                report.drop(prompt.id.clone(), DropReason::Unpaired);
                continue;
            }
            for (k, &(_, at)) in chosen.iter().enumerate() {
                let reply = teacher.reply(at)?;
                let other = student.reply(rejected[k % rejected.len()].1)?;
                let candidate = self.candidate(prompt, &reply, &other);
                if let Some(pair) = self.judge(candidate, &mut report) {
                    take(pair)?;
                }
            }
        }
        Ok(report)
    }

    fn candidate<'p>(&self, prompt: &'p Prompt, chosen: &Reply, rejected: &Reply) -> Candidate<'p> {
        let renamed = match self.student_name {
            Some(name) => rename(chosen.reply.trim(), self.teacher_names, name),
            None => None,
        };
        let full_chosen = renamed.as_deref().unwrap_or(chosen.reply.trim());
        let full_rejected = rejected.reply.trim();
        let chosen_text = finish_text(full_chosen, self.unfinished);
        let rejected_text = finish_text(full_rejected, self.unfinished);
        Candidate {
            id: chosen.id.clone(),
            prompt,
            trimmed: chosen_text != full_chosen || rejected_text != full_rejected,
            chosen: chosen_text.to_owned(),
            rejected: rejected_text.to_owned(),
            renamed: renamed.is_some(),
            cut_off: [chosen, rejected]
                .iter()
                .any(|reply| reply.reply.trim().is_empty() && reply.finish == FinishReason::Length),
        }
    }

    fn judge(
        &self,
        mut candidate: Candidate<'_>,
        report: &mut FilterReport,
    ) -> Option<PreferencePair> {
        if let Some(reason) = self.reason(&candidate).or_else(|| self.fit(&mut candidate)) {
            report.drop(candidate.id, reason);
            return None;
        }
        report.candidates += 1;
        report.kept += 1;
        report.renamed += usize::from(candidate.renamed);
        report.trimmed += usize::from(candidate.trimmed);
        Some(candidate.into_pair())
    }

    /// Everything but length.
    fn reason(&self, candidate: &Candidate<'_>) -> Option<DropReason> {
        let Candidate { chosen, rejected, trimmed, cut_off, .. } = candidate;
        let both = [chosen, rejected];
        if both.iter().any(|text| text.is_empty()) {
            // Trimming leaves nothing of a text without one whole sentence.
            let unfinished = *trimmed || *cut_off;
            return Some(if unfinished { DropReason::Unfinished } else { DropReason::Empty });
        }
        if self.unfinished != Unfinished::Keep && both.iter().any(|text| !is_finished(text)) {
            return Some(DropReason::Unfinished);
        }
        if is_refusal(chosen) {
            return Some(DropReason::Refused);
        }
        if mentions(chosen, self.teacher_names) {
            return Some(DropReason::NameLeak);
        }
        (chosen == rejected).then_some(DropReason::Identical)
    }

    fn fit(&self, candidate: &mut Candidate<'_>) -> Option<DropReason> {
        let question = &candidate.prompt.text;
        let fits = |reply: &str| {
            let conversation = [Message::user(question), Message::assistant(reply)];
            (self.count_tokens)(&conversation) <= self.max_tokens
        };
        for text in [&mut candidate.chosen, &mut candidate.rejected] {
            if fits(text) {
                continue;
            }
            match self.fidelity.length {
                Fidelity::Corrected => return Some(DropReason::TooLong),
                Fidelity::Faithful => match cut_words(text, fits) {
                    Some(cut) => *text = cut.to_owned(),
                    None => return Some(DropReason::TooLong),
                },
            }
        }
        None
    }
}

impl FilterReport {
    fn drop(&mut self, id: String, reason: DropReason) {
        self.candidates += 1;
        *self.dropped.entry(reason).or_default() += 1;
        self.dropped_ids.push(Dropped { id, reason });
    }
}

impl Candidate<'_> {
    fn into_pair(self) -> PreferencePair {
        PreferencePair {
            id: Some(self.id),
            assertion: self.prompt.assertion,
            ..PreferencePair::new(&self.prompt.text, self.chosen, self.rejected)
        }
    }
}

/// Sample and index of every reply, by prompt.
type ByPrompt<'p> = HashMap<&'p str, Vec<(usize, usize)>>;

/// Where the replies to each prompt are, by sample.
fn by_prompt<'p, R: Replies + ?Sized>(
    prompts: &'p [Prompt],
    replies: &R,
) -> Result<ByPrompt<'p>, R::Error> {
    let mut map: ByPrompt<'p> = prompts.iter().map(|p| (p.id.as_str(), Vec::new())).collect();
    for index in 0..replies.count() {
        let reply = replies.reply(index)?;
        if let Some(samples) = map.get_mut(&*reply.prompt) {
            samples.push((reply.sample, index));
        }
    }
    map.values_mut().for_each(|samples| samples.sort_unstable());
    Ok(map)
}
