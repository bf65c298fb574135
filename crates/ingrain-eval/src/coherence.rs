//! Coherence: whose replies are the character, and hang together?
//!
//! A judge who knows the constitution compares replies of the subject with those of each other method
//! to the same questions, in both orders.

use ingrain_chat::{ChatModel, Message, Sampling};
use ingrain_judge::{Case, Label, OnConflict, Task, Verdict, biases, win_rate};
use ingrain_run::write_jsonl;
use ingrain_stats::Bootstrap;
use serde_json::json;

use crate::error::unlike;
use crate::judging::Judging;
use crate::replies::{Prompt, collect};
use crate::{EvalError, Figure, NamedJudge, Suite, SuiteReport, SuiteRun};

/// A way to give an assistant a character: a model, with or without a system prompt.
#[derive(Clone)]
pub struct Method<'a> {
    /// What it is called in reports: `distilled`, `system prompt`, ...
    pub name: &'a str,
    /// Who answers.
    pub model: &'a dyn ChatModel,
    /// What the model is told first.
    pub system: Option<String>,
}

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
        let mut warnings: Vec<String> = biases(&names, self.teacher, self.model.as_slice())
            .iter()
            .map(ToString::to_string)
            .collect();
        let (mut figures, mut details) = (Vec::new(), serde_json::Map::new());
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
                warnings.push(format!("{}: {missing} questions lack a reply", other.name));
            }
            let judged = judging.run(run, &cases)?;
            for doubt in judged.doubts() {
                if !warnings.contains(&doubt) {
                    warnings.push(doubt);
                }
            }
            compared.extend(cases.iter().cloned());
            let name = format!("{} against {}", self.subject.name, other.name);
            figures.push(Figure {
                name: format!("win rate of {name}, ties half"),
                measure: win_rate(&self.bootstrap, &cases, &judged.decisions),
            });
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
        let suite = "coherence".to_owned();
        Ok(SuiteReport { suite, figures, warnings, details: details.into() })
    }
}
