//! Graders tried on replies whose author is known.

use std::collections::HashSet;

use ingrain_chat::{Recorded, RecordedReply};
use ingrain_eval::{Method, NamedGrader, Recognition, Subject};
use ingrain_run::SuiteReport;

use super::measure::{Part, plain};
use super::{Experiment, Lab};
use crate::PipelineError;

/// Recorded replies of every character to the same questions for development.
pub(super) struct Known {
    pub(super) questions: Vec<String>,
    /// By character, in the order of the cast.
    replies: Vec<Recorded>,
}

impl Known {
    pub(super) fn of(lab: &Lab) -> Result<Self, PipelineError> {
        let (mut questions, mut replies): (Option<Vec<String>>, _) = (None, Vec::new());
        for character in &lab.cast.characters[..lab.cast.labels] {
            let mut asked = HashSet::new();
            let mut pairs = character.persona.heldout_pairs()?;
            pairs.retain(|pair| asked.insert(pair.question().to_owned()));
            questions = Some(match questions {
                None => pairs.iter().map(|pair| pair.question().to_owned()).collect(),
                Some(common) => common.into_iter().filter(|q| asked.contains(q)).collect(),
            });
            replies.push(Recorded::new(pairs.iter().map(|pair| RecordedReply {
                question: pair.question().to_owned(),
                sample: 0,
                reply: pair.chosen_text().to_owned(),
            }))?);
        }
        Ok(Self { questions: questions.unwrap_or_default(), replies })
    }
}

impl Experiment<'_> {
    /// Whose the recorded replies are, by a grader: what it recognises where the answer is known.
    pub(super) fn known<'s>(
        &'s self,
        lab: &'s Lab,
        known: &'s Known,
        grader: NamedGrader<'s>,
    ) -> Recognition<'s> {
        let subject = |(character, model): (&'s super::cast::Character, &'s Recorded)| Subject {
            persona: character.name.clone(),
            method: Method { name: "recorded", model, system: None },
        };
        let subjects = lab.cast.characters.iter().zip(&known.replies).map(subject).collect();
        let suite = self.recognition(lab, Part::Robustness, subjects, vec![grader]);
        Recognition {
            name: "recorded",
            title: "Recorded replies",
            questions: known.questions.clone(),
            scenarios: plain(),
            ..suite
        }
    }

    /// The report on [`Experiment::known`], in words of its own.
    pub(super) fn known_report(
        &self,
        suite: &Recognition<'_>,
    ) -> Result<SuiteReport, PipelineError> {
        let dir = self.plan.results.join(suite.name);
        let mut report = ingrain_eval::Suite::run(suite, &self.suite_run(&dir))?;
        report.protocol = format!(
            "Recorded replies to {} questions for development: what a grader recognises where the answer is known. The \
             plan's own graders are calibrated on these replies and learn nothing else from them.",
            suite.questions.len()
        );
        Ok(report)
    }
}
