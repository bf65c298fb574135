//! Is the character still there? Replies in and out of trouble, and graders that say whose they are.
//!
//! One suite serves robustness, the prefill attack and everything away from chat: they differ in their
//! [`Scenario`]s only.

mod answers;
mod report;

use ingrain_chat::{ChatModel, Sampling};
use ingrain_run::SuiteReport;
use ingrain_stats::Bootstrap;

use crate::grading::{GradedText, NamedGrader, grades};
use crate::{EvalError, Method, Scenario, Suite, SuiteRun};
use report::{Seen, Tally};

/// A method, and the character that it is meant to show: one of the graders' labels.
#[derive(Clone)]
pub struct Subject<'a> {
    /// The character's name. Where no grader has it as a label, the subject shows in the table of mean
    /// probabilities only.
    pub persona: String,
    /// Who answers.
    pub method: Method<'a>,
}

/// How often graders recognise the character of replies, by method and scenario.
///
/// Replies are kept in `replies.jsonl`, grades in `grades.jsonl`.
///
/// # Source
/// arXiv:2511.01689, section 4: robustness and prefill attack; scenarios in wording of our own.
#[derive(Clone)]
pub struct Recognition<'a> {
    /// Name of the suite: `robustness`, `prefill`, `out-of-chat`.
    pub name: &'a str,
    /// The name that a reader sees.
    pub title: &'a str,
    /// Who is looked at. Subjects of one method name are read together: their characters are the classes
    /// that are told apart.
    pub subjects: Vec<Subject<'a>>,
    /// The model before training, where scenarios have turns of its.
    pub untrained: Option<&'a dyn ChatModel>,
    /// User messages, none of which were trained on.
    pub questions: Vec<String>,
    /// What they are asked in. The first one's kind is what the others are compared with.
    pub scenarios: Vec<Scenario>,
    /// How replies are sampled; the seed is replaced.
    pub sampling: Sampling,
    /// Who says whose a reply is.
    pub graders: Vec<NamedGrader<'a>>,
    /// Of the intervals, over questions.
    pub bootstrap: Bootstrap,
}

/// A reply to be graded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Index of the subject.
    pub subject: usize,
    /// Index of the scenario.
    pub scenario: usize,
    /// Index of the question.
    pub question: usize,
    /// The last reply; `None` where a model failed.
    pub reply: Option<String>,
}

impl Recognition<'_> {
    /// Every reply that the suite looks at, made where it is not there yet; subject by subject, then by
    /// scenario, then by question.
    ///
    /// # Errors
    /// [`EvalError::Scenario`] if a scenario needs the untrained model and there is none; otherwise
    /// whatever the models or the disk report.
    pub fn answers(&self, run: &SuiteRun<'_>) -> Result<Vec<Answered>, EvalError> {
        let mut all = Vec::new();
        for (index, subject) in self.subjects.iter().enumerate() {
            all.extend(self.answers_of(run, index, subject)?);
        }
        Ok(all)
    }

    /// Grades every reply that has no grade yet, and reports nothing.
    ///
    /// # Errors
    /// As [`Recognition::answers`], or whatever the graders report.
    pub fn grade(&self, run: &SuiteRun<'_>) -> Result<(), EvalError> {
        let answers = self.answers(run)?;
        self.graders.iter().try_for_each(|grader| self.seen(run, grader, &answers).map(|_| ()))
    }

    /// Where a reply belongs: the same in every file.
    fn key(&self, of: &Answered) -> String {
        let Subject { persona, method } = &self.subjects[of.subject];
        let scenario = &self.scenarios[of.scenario].name;
        format!("{persona}/{}/{scenario}/{}", method.name, of.question)
    }

    fn seen(
        &self,
        run: &SuiteRun<'_>,
        grader: &NamedGrader<'_>,
        answers: &[Answered],
    ) -> Result<Vec<Seen>, EvalError> {
        let replied: Vec<(&Answered, &str)> =
            answers.iter().filter_map(|answer| Some((answer, answer.reply.as_deref()?))).collect();
        let texts: Vec<(String, GradedText<'_>)> = replied
            .iter()
            .map(|(answer, reply)| {
                let message = &self.questions[answer.question];
                (self.key(answer), GradedText { message, reply })
            })
            .collect();
        let labels = grader.grader.labels();
        let graded = grades(run, grader, &texts)?;
        let seen = replied.iter().zip(graded).filter_map(|((answer, _), probabilities)| {
            let persona = &self.subjects[answer.subject].persona;
            Some(Seen {
                subject: answer.subject,
                scenario: answer.scenario,
                question: answer.question,
                truth: labels.iter().position(|label| label == persona),
                probabilities: probabilities?,
            })
        });
        Ok(seen.collect())
    }
}

impl Suite for Recognition<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        let nothing = self.subjects.is_empty()
            || self.questions.is_empty()
            || self.scenarios.is_empty()
            || self.graders.is_empty();
        if nothing {
            return Err(EvalError::Empty("recognition of a character"));
        }
        let answers = self.answers(run)?;
        let missing = answers.iter().filter(|answer| answer.reply.is_none()).count();
        let empty =
            answers.iter().filter(|a| a.reply.as_deref().is_some_and(str::is_empty)).count();
        let mut report = self.frame();
        for (count, what) in [(missing, "are missing"), (empty, "are empty")] {
            if count > 0 {
                report.limitations.push(format!("{count} of {} replies {what}", answers.len()));
            }
        }
        let mut details = serde_json::Map::new();
        for grader in &self.graders {
            let seen = self.seen(run, grader, &answers)?;
            let ungraded = answers.len() - missing - seen.len();
            if ungraded > 0 {
                let name = grader.name;
                report.limitations.push(format!("{name}: {ungraded} replies have no grade"));
            }
            let tally = Tally { suite: self, grader, seen: &seen };
            details.insert(grader.name.to_owned(), tally.add_to(&mut report));
        }
        report.details = details.into();
        Ok(report)
    }
}
