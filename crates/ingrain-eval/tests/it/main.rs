//! Suites over scripted models whose preferences and quality are known.

mod coherence;
mod preferences;
mod recognition;
mod scoring;

use std::path::Path;

use ingrain_eval::SuiteRun;
use ingrain_judge::{Answer, Judge, JudgeError, Question, Unreadable, Verdict};
use ingrain_run::{Interrupt, Silent};

/// Reads the reply or replies, and says A (`true`), B or nothing; no model is asked.
pub(crate) struct Reader<F>(pub(crate) F);

impl<F: Fn(&Question<'_>) -> Option<bool> + Send + Sync> Judge for Reader<F> {
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    ) {
        for (i, question) in questions.iter().enumerate() {
            let reading = (self.0)(question)
                .map(|is_a| Verdict::of_letter(is_a, question.order))
                .ok_or(Unreadable::NoAnswer);
            let (prompt, reply) = (question.case.message.clone(), format!("{reading:?}"));
            on_answer(i, Ok(Answer { prompt, reply, reading, probability: None }));
        }
    }
}

pub(crate) fn suite_run<'a>(dir: &'a Path, interrupt: &'a Interrupt) -> SuiteRun<'a> {
    SuiteRun { dir, seed: 5, batch_size: 64, observer: &Silent, interrupt }
}
