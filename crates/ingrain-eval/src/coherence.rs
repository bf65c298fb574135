//! Coherence: whose replies are the character, and hang together?
//!
//! A judge who knows the constitution compares replies of the subject with those of each other method
//! to the same questions, in both orders.

use ingrain_chat::{Message, Sampling};
use ingrain_judge::{Case, Label, OnConflict, Task, Verdict, biases, win_rate};
use ingrain_run::{SuiteReport, write_jsonl};
use ingrain_stats::Bootstrap;
use serde_json::json;

use crate::error::unlike;
use crate::estimates::Estimates;
use crate::judging::Judging;
use crate::replies::{Prompt, collect};
use crate::{EvalError, Method, NamedJudge, Suite, SuiteRun};

/// Pairwise coherence of one method against others.
///
/// The judges' rubric is [`Rubric::coherence`](ingrain_judge::Rubric::coherence) with the
/// constitution; this suite does not know it.
///
/// # Source
/// arXiv:2511.01689, section 4; with both orders kept and dropped verdicts counted.
#[derive(Clone)]
pub struct Coherence<'a> {
    /// The method whose win rate is reported.
    pub subject: Method<'a>,
    /// What it is compared with.
    pub others: Vec<Method<'a>>,
    /// User messages, none of which were trained on.
    pub questions: Vec<String>,
    /// How replies are sampled; the seed is replaced.
    pub sampling: Sampling,
    /// Who judges.
    pub judges: Vec<NamedJudge<'a>>,
    /// How often each pair is shown again in the same order, to see whether a judge agrees with itself.
    pub repeats: usize,
    /// What people said of the pairs of an earlier run in the same directory (`cases.jsonl`); they decide
    /// whether the report may call a judge reliable.
    pub labels: Vec<Label>,
    /// The model that wrote the training data, to warn where it judges.
    pub teacher: Option<&'a str>,
    /// The model under judgement, to warn where it judges.
    pub model: Option<&'a str>,
    /// What becomes of cases on which the orders disagree.
    pub on_conflict: OnConflict,
    /// Of the intervals, over questions.
    pub bootstrap: Bootstrap,
}

impl Coherence<'_> {
    fn replies(
        &self,
        run: &SuiteRun<'_>,
        method: &Method<'_>,
    ) -> Result<Vec<Option<String>>, EvalError> {
        let prompt = |(i, question): (usize, &String)| {
            let system = method.system.iter().map(Message::system);
            let messages = system.chain([Message::user(question)]).collect();
            Prompt { key: format!("{}/{i}", method.name), messages }
        };
        let prompts: Vec<Prompt> = self.questions.iter().enumerate().map(prompt).collect();
        let stage = format!("coherence/{}", method.name);
        collect(run, &stage, method.model, &self.sampling, &prompts)
    }

    fn cases(
        &self,
        other: &Method<'_>,
        own: &[Option<String>],
        theirs: &[Option<String>],
    ) -> Vec<Case> {
        let replies = own.iter().zip(theirs).enumerate();
        replies
            .filter_map(|(i, (own, theirs))| {
                let task = Task::Compare { first: own.clone()?, second: theirs.clone()? };
                let key = format!("{}/{i}", other.name);
                Some(Case { key, message: self.questions[i].clone(), task })
            })
            .collect()
    }
}

impl Suite for Coherence<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        if self.questions.is_empty() || self.others.is_empty() || self.judges.is_empty() {
            return Err(EvalError::Empty("coherence"));
        }
        let names: Vec<&str> = self.judges.iter().map(|judge| judge.name).collect();
        let methods = self.others.iter().map(|method| method.name);
        unlike(methods.chain([self.subject.name]))?;
        unlike(names.iter().copied())?;
        let own = self.replies(run, &self.subject)?;
        let mut limitations: Vec<String> = biases(&names, self.teacher, self.model.as_slice())
            .iter()
            .map(ToString::to_string)
            .collect();
        let (mut rows, mut details) = (Estimates::default(), serde_json::Map::new());
        let mut compared = Vec::new();
        let judging = Judging {
            judges: &self.judges,
            repeats: self.repeats,
            on_conflict: self.on_conflict,
            labels: &self.labels,
            bootstrap: self.bootstrap,
        };
        for other in &self.others {
            let theirs = self.replies(run, other)?;
            let cases = self.cases(other, &own, &theirs);
            let missing = self.questions.len() - cases.len();
            if missing > 0 {
                limitations.push(format!("{}: {missing} questions lack a reply", other.name));
            }
            let judged = judging.run(run, &cases)?;
            for doubt in judged.doubts() {
                if !limitations.contains(&doubt) {
                    limitations.push(doubt);
                }
            }
            compared.extend(cases.iter().cloned());
            let name = format!("{} against {}", self.subject.name, other.name);
            let settled = judged.decisions.iter().filter(|d| d.verdict().is_some()).count();
            let measure = win_rate(&self.bootstrap, &cases, &judged.decisions);
            rows.push(&name, Some(other.name), &measure, settled);
            details.insert(
                name,
                json!({
                    "cases": cases.len(),
                    "unsettled": judged.decisions.iter().filter(|d| d.verdict().is_none()).count(),
                    "ties": judged.decisions.iter().filter(|d| d.verdict() == Some(Verdict::Tie)).count(),
                    "judges": judged.judges,
                    "between_judges": judged.between,
                }),
            );
        }
        // For human labels of the very same pairs.
        write_jsonl(run.dir.join("cases.jsonl"), &compared)?;
        let (figure, undefined) = rows.figure(
            [
                "win-rates",
                "Win rates",
                "Bars are bootstrap intervals over questions; Wilson's where all verdicts agree.",
                "wins of settled cases, ties half",
            ],
            Some(0.5),
        );
        limitations.extend(undefined);
        Ok(SuiteReport {
            suite: "coherence".to_owned(),
            title: "Coherence".to_owned(),
            protocol: format!(
                "{} questions; a judge that knows the constitution compares the replies of {} with those \
                 of each other method, in both orders. Judges: {}.",
                self.questions.len(),
                self.subject.name,
                names.join(", "),
            ),
            figures: figure.into_iter().collect(),
            tables: Vec::new(),
            limitations,
            details: details.into(),
        })
    }
}
