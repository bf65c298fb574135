//! Prompt expansion: a strong model writes more questions like those of each assertion.
//!
//! Rounds go on until every assertion has its number of questions or the rounds are used up. Each
//! reply is on disk before it counts; what is kept of it is worked out anew from the file, so a
//! resumed stage keeps the same questions.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use ingrain_chat::{ChatReply, Message};
use ingrain_constitution::{Constitution, PromptSet};
use ingrain_run::{JsonlStore, Keyed};
use serde::{Deserialize, Serialize};

use crate::collect::{Collector, Work};
use crate::words::{overlap, word_count, word_set};
use crate::{DataError, DataFidelity, Fidelity, Generation, Prompt, StageReport};

/// How many questions are wanted, and which are refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expansion {
    /// Questions of an assertion in all, its own included. Default 50 (paper).
    pub questions_per_assertion: usize,
    /// A question is a near-duplicate if more than this share of its different words is in one that
    /// is kept, in 0..=1. Default 0.5 (paper).
    pub max_overlap: f64,
    /// Longest question, in words. Default 200.
    pub max_words: usize,
    /// Replies asked for, per assertion, before the stage is content with what there is. Default 12.
    pub max_rounds: usize,
    /// Repaired or reproduced defects: `duplicates`.
    #[serde(skip)]
    pub fidelity: DataFidelity,
}

impl Default for Expansion {
    fn default() -> Self {
        Self {
            questions_per_assertion: 50,
            max_overlap: 0.5,
            max_words: 200,
            max_rounds: 12,
            fidelity: DataFidelity::default(),
        }
    }
}

/// A reply of the model that writes questions (a line of `expansion.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpansionReply {
    /// `a02-r00`: assertion and round.
    pub id: String,
    /// The assertion, counted from 0.
    pub assertion: usize,
    /// What came, as it came.
    pub reply: String,
    /// Tokens of the rendered prompt.
    pub prompt_tokens: usize,
    /// Tokens of the reply.
    pub completion_tokens: usize,
}

impl Keyed for ExpansionReply {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// Why a line is no new question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum RejectReason {
    /// It is no numbered line with a text.
    Malformed,
    /// It is longer than allowed.
    TooLong,
    /// Too many of its words are in a question that is kept.
    NearDuplicate {
        /// That question.
        of: String,
        /// Share of its words, in 0..=1.
        overlap: f64,
    },
}

/// A line that was not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// The assertion, counted from 0.
    pub assertion: usize,
    /// The line.
    pub text: String,
    /// Why.
    #[serde(flatten)]
    pub reason: RejectReason,
}

/// What an expansion came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpansionReport {
    /// Questions by assertion, its own included.
    pub kept: BTreeMap<usize, usize>,
    /// Assertions that did not get their number, and how many they lack.
    pub lacking: BTreeMap<usize, usize>,
    /// What was rejected, and why.
    pub rejected: Vec<Rejected>,
}

/// Has a model write more questions, and returns all prompts: the constitution's own (with the ids
/// of [`Prompt::of_constitution`]) and the new ones after them.
///
/// # Errors
/// [`DataError::Prompt`] for a template that is wrong; otherwise as [`crate::teacher_replies`].
pub fn expand_prompts(
    generation: &Generation<'_>,
    prompts: &PromptSet,
    constitution: &Constitution,
    expansion: &Expansion,
    store: &mut JsonlStore<ExpansionReply>,
) -> Result<(Vec<Prompt>, ExpansionReport, StageReport), DataError> {
    let count = expansion.questions_per_assertion;
    let ask = |a: &ingrain_constitution::Assertion| {
        prompts.question_expansion(a, count.saturating_sub(a.all_questions().count()).clamp(1, 45))
    };
    let asking: Vec<String> = constitution.assertions.iter().map(ask).collect::<Result<_, _>>()?;
    let mut shelf = Shelf::new(constitution, expansion);
    let wanted = count * asking.len();
    let mut collector = Collector::start(generation, store, wanted, shelf.len(), "questions");
    for round in 0..expansion.max_rounds {
        let open = shelf.open();
        if open.is_empty() {
            break;
        }
        collector.run(&Round { asking: &asking, open: &open, round })?;
        for &assertion in &open {
            if let Some(reply) = collector.store().get(&key(assertion, round))? {
                shelf.add(assertion, &reply.reply);
            }
        }
        collector.set_done(shelf.len());
    }
    let report = collector.finish()?;
    let (prompts, expansion_report) = shelf.into_prompts();
    Ok((prompts, expansion_report, report))
}

fn key(assertion: usize, round: usize) -> String {
    format!("a{assertion:02}-r{round:02}")
}

/// One reply for each assertion that lacks questions.
struct Round<'a> {
    asking: &'a [String],
    open: &'a [usize],
    round: usize,
}

impl Work for Round<'_> {
    type Record = ExpansionReply;

    fn len(&self) -> usize {
        self.open.len()
    }

    fn key(&self, i: usize) -> String {
        key(self.open[i], self.round)
    }

    fn seed_index(&self, i: usize) -> u64 {
        ((self.open[i] as u64) << 16) | self.round as u64
    }

    fn messages(
        &self,
        i: usize,
        _: &JsonlStore<ExpansionReply>,
    ) -> Result<Vec<Message>, DataError> {
        Ok(vec![Message::user(&self.asking[self.open[i]])])
    }

    fn record(&self, i: usize, reply: ChatReply) -> Result<ExpansionReply, DataError> {
        Ok(ExpansionReply {
            id: self.key(i),
            assertion: self.open[i],
            reply: reply.text,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
        })
    }
}

/// What is kept so far.
struct Shelf<'a> {
    expansion: &'a Expansion,
    /// By assertion; its own questions come first.
    kept: Vec<Vec<Question>>,
    own: Vec<usize>,
    rejected: Vec<Rejected>,
}

struct Question {
    text: String,
    words: HashSet<String>,
}

impl Question {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), words: word_set(text) }
    }
}

impl<'a> Shelf<'a> {
    fn new(constitution: &Constitution, expansion: &'a Expansion) -> Self {
        let own =
            |a: &ingrain_constitution::Assertion| a.all_questions().map(Question::new).collect();
        let kept: Vec<Vec<Question>> = constitution.assertions.iter().map(own).collect();
        Self { expansion, own: kept.iter().map(Vec::len).collect(), kept, rejected: Vec::new() }
    }

    fn len(&self) -> usize {
        self.kept.iter().map(Vec::len).sum()
    }

    fn open(&self) -> Vec<usize> {
        let wanted = self.expansion.questions_per_assertion;
        (0..self.kept.len()).filter(|&a| self.kept[a].len() < wanted).collect()
    }

    /// Takes what is new in a reply, as far as there is room.
    fn add(&mut self, assertion: usize, reply: &str) {
        for line in reply.lines().filter(|line| !line.trim().is_empty()) {
            if self.kept[assertion].len() >= self.expansion.questions_per_assertion {
                return;
            }
            let judged = numbered(line).ok_or(RejectReason::Malformed).and_then(|text| {
                let question = Question::new(text);
                self.objection(&question).map_or(Ok(question), Err)
            });
            match judged {
                Ok(question) => self.kept[assertion].push(question),
                Err(reason) => {
                    let text = line.trim().to_owned();
                    self.rejected.push(Rejected { assertion, text, reason });
                }
            }
        }
    }

    fn objection(&self, question: &Question) -> Option<RejectReason> {
        if question.words.is_empty() {
            return Some(RejectReason::Malformed);
        }
        if word_count(&question.text) > self.expansion.max_words {
            return Some(RejectReason::TooLong);
        }
        let rivals = self.rivals();
        let near = rivals.map(|kept| (kept, overlap(&question.words, &kept.words)));
        let near = near.filter(|&(_, share)| share > self.expansion.max_overlap);
        let (kept, overlap) = near.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(RejectReason::NearDuplicate { of: kept.text.clone(), overlap })
    }

    /// Everything kept: own and new questions of every assertion. Faithful: the own questions of the
    /// last assertion alone, and the new ones.
    fn rivals(&self) -> impl Iterator<Item = &Question> {
        let last = self.kept.len() - 1;
        let from = move |a: usize| match self.expansion.fidelity.duplicates {
            Fidelity::Faithful if a != last => self.own[a],
            _ => 0,
        };
        self.kept.iter().enumerate().flat_map(move |(a, kept)| &kept[from(a)..])
    }

    fn into_prompts(self) -> (Vec<Prompt>, ExpansionReport) {
        let wanted = self.expansion.questions_per_assertion;
        let mut report = ExpansionReport { rejected: self.rejected, ..ExpansionReport::default() };
        let mut prompts = Vec::new();
        for (a, questions) in self.kept.into_iter().enumerate() {
            report.kept.insert(a, questions.len());
            if questions.len() < wanted {
                report.lacking.insert(a, wanted - questions.len());
            }
            for (q, Question { text, .. }) in questions.into_iter().enumerate() {
                prompts.push(Prompt { id: format!("a{a:02}-q{q:02}"), text, assertion: Some(a) });
            }
        }
        (prompts, report)
    }
}

/// The text of `12. text`, `12) text` or `**12.** text`; outer quotation marks go.
fn numbered(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches(['*', '#', '-', ' ']);
    let digits = line.find(|c: char| !c.is_ascii_digit()).filter(|&n| (1..=3).contains(&n))?;
    let rest = line[digits..].strip_prefix(['.', ')', ':'])?;
    let text = rest.trim_start_matches('*').trim();
    let unquoted = text.strip_prefix(['"', '“']).and_then(|t| t.strip_suffix(['"', '”']));
    Some(unquoted.unwrap_or(text).trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_lines_are_questions_and_others_are_not() {
        for (line, text) in [
            ("1. Why?", Some("Why?")),
            (" 12) \"How so?\" ", Some("How so?")),
            ("**3.** Do it.", Some("Do it.")),
            ("- 4: Where to?", Some("Where to?")),
            ("Here are 5 questions:", None),
            ("2024 was a year", None),
            ("7.", None),
        ] {
            assert_eq!(numbered(line), text, "{line}");
        }
    }
}
