//! A judge whose errors are known: for tests, and to plan a study.

use std::collections::BTreeMap;

use ingrain_stats::Stream;

use crate::{Answer, Judge, JudgeError, Order, Question, Unreadable, Verdict};

/// Knows the truth of every case, and misses it as told.
///
/// A question about a case that it does not know is [`Unreadable::NoAnswer`].
#[derive(Clone, Debug, Default)]
pub struct SimulatedJudge {
    /// The right verdict of each case.
    pub truth: BTreeMap<String, Verdict>,
    /// Chance of the right verdict; otherwise first and second are swapped, or a grade is off by one.
    pub accuracy: f64,
    /// Chance of deciding for what is shown first without looking.
    pub prefers_first: f64,
    /// Chance of a reply that cannot be read.
    pub unreadable: f64,
}

impl SimulatedJudge {
    fn verdict(&self, question: &Question<'_>) -> Result<Verdict, Unreadable> {
        let mut stream = Stream::new(question.seed, 0);
        let truth = *self.truth.get(&question.case.key).ok_or(Unreadable::NoAnswer)?;
        let (broken, lazy, right) = (
            stream.happens(self.unreadable),
            stream.happens(self.prefers_first),
            stream.happens(self.accuracy),
        );
        Ok(match truth {
            _ if broken => return Err(Unreadable::NoAnswer),
            Verdict::Grade(grade) if right => Verdict::Grade(grade),
            Verdict::Grade(grade) => Verdict::Grade(grade.saturating_add(1)),
            _ if lazy => Verdict::of_letter(true, question.order),
            Verdict::First if !right => Verdict::Second,
            Verdict::Second if !right => Verdict::First,
            truth => truth,
        })
    }
}

impl Judge for SimulatedJudge {
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    ) {
        for (i, question) in questions.iter().enumerate() {
            let reading = self.verdict(question);
            let prompt = match question.order {
                Order::AsGiven => question.case.message.clone(),
                Order::Swapped => format!("{} (swapped)", question.case.message),
            };
            let reply = format!("{reading:?}");
            on_answer(i, Ok(Answer { prompt, reply, reading, probability: None }));
        }
    }
}
