//! The seam: whoever answers questions about cases.

use crate::{JudgeError, Question, Unreadable, Verdict};

/// What a judge answered: prompt and reply as they were, and what was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What the judge read.
    pub prompt: String,
    /// What it wrote, or the numbers that it gave.
    pub reply: String,
    /// What that says.
    pub reading: Result<Verdict, Unreadable>,
    /// Probability of the verdict among the answers allowed, where the judge knows it.
    pub probability: Option<f64>,
}

/// Anything that answers questions: a chat model, a scorer, a person, a simulation.
///
/// # Examples
/// ```
/// use ingrain_judge::{Answer, Judge, JudgeError, Question, Verdict};
///
/// /// Likes what it sees first.
/// struct First;
///
/// impl Judge for First {
///     fn answer(
///         &self,
///         questions: &[Question<'_>],
///         on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
///     ) {
///         for (i, question) in questions.iter().enumerate() {
///             let reading = Ok(Verdict::of_letter(true, question.order));
///             let (prompt, reply) = (question.case.message.clone(), "A".to_owned());
///             on_answer(i, Ok(Answer { prompt, reply, reading, probability: None }));
///         }
///     }
/// }
/// ```
pub trait Judge: Send + Sync {
    /// Answers all questions; calls `on_answer` once for each, with its index, as it finishes. One
    /// failure costs one question. Whoever reads text follows [`Unreadable`]: no guess.
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    );
}
