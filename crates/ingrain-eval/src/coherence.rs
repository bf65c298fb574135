//! Coherence: whose replies are the character, and hang together?
//!
//! A judge who knows the constitution compares replies of the subject with those of each other method
//! to the same questions, in both orders.

use ingrain_chat::{Message, Sampling};
use ingrain_judge::{Case, Decision, Measure, OnConflict, Task, Verdict, biases};
use ingrain_run::{SuiteReport, write_jsonl};
use ingrain_stats::{Bootstrap, Interval};
use serde_json::json;

use crate::estimates::Estimates;
use crate::judging::judge_all;
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
        let own = self.replies(run, &self.subject)?;
        let names: Vec<&str> = self.judges.iter().map(|judge| judge.name).collect();
        let mut limitations: Vec<String> =
            biases(&names, self.teacher, self.model).iter().map(ToString::to_string).collect();
        let (mut rows, mut details) = (Estimates::default(), serde_json::Map::new());
        let mut compared = Vec::new();
        for other in &self.others {
            let theirs = self.replies(run, other)?;
            let cases = self.cases(other, &own, &theirs);
            let missing = self.questions.len() - cases.len();
            if missing > 0 {
                limitations.push(format!("{}: {missing} questions lack a reply", other.name));
            }
            let judged = judge_all(run, &self.judges, &cases, self.on_conflict, &self.bootstrap)?;
            compared.extend(cases.iter().cloned());
            let name = format!("{} against {}", self.subject.name, other.name);
            let settled = judged.decisions.iter().filter(|d| d.verdict().is_some()).count();
            let measure = win_rate(&judged.decisions, &self.bootstrap);
            rows.push(&name, Some(other.name), &measure, settled);
            details.insert(
                name,
                json!({
                    "cases": cases.len(),
                    "unsettled": judged.decisions.iter().filter(|d| d.verdict().is_none()).count(),
                    "ties": judged.decisions.iter().filter(|d| d.verdict() == Some(Verdict::Tie)).count(),
                    "judges": judged.judges,
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

/// Wins of the first, ties half, over the cases that are settled; each question is its own cluster.
fn win_rate(decisions: &[Decision], bootstrap: &Bootstrap) -> Measure {
    let scores: Vec<f64> =
        decisions.iter().filter_map(|d| d.verdict()).map(Verdict::score).collect();
    let mean = |draw: &[usize]| draw.iter().map(|&i| scores[i]).sum::<f64>() / draw.len() as f64;
    match bootstrap.percentile(scores.len(), mean) {
        // Where all agree, resampling sees no uncertainty; Wilson's interval does.
        Ok(interval) if interval.low == interval.high && matches!(scores[0], 0.0 | 1.0) => {
            let wins = if scores[0] > 0.5 { scores.len() } else { 0 };
            Interval::wilson(wins, scores.len(), bootstrap.confidence).into()
        }
        result => result.into(),
    }
}
