//! A judge whose record is short.

use ingrain_run::sha256_hex;

use crate::{Answer, Judge, JudgeError, Question};

/// Answers as its judge does, with a hash in the place of the prompt, so that a file of thousands of
/// rulings stays small. The prompt can be made again from case and rubric.
#[derive(Clone, Copy, Debug)]
pub struct Brief<J>(pub J);

impl<J: Judge> Judge for Brief<J> {
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    ) {
        self.0.answer(questions, &mut |index, answer| {
            let short = |answer: Answer| {
                let prompt = sha256_hex(answer.prompt.as_bytes())[..12].to_owned();
                Answer { prompt, ..answer }
            };
            on_answer(index, answer.map(short));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Case, Order, SimulatedJudge, Task, Verdict};

    #[test]
    fn only_the_prompt_is_shortened() {
        let judge = SimulatedJudge {
            truth: [("k".to_owned(), Verdict::Second)].into(),
            accuracy: 1.0,
            ..SimulatedJudge::default()
        };
        let task = Task::Compare { first: "a".into(), second: "b".into() };
        let case = Case { key: "k".into(), message: "a long message".into(), task };
        let question = Question { case: &case, order: Order::AsGiven, repeat: 0, seed: 1 };
        let mut answers = Vec::new();
        Brief(judge).answer(&[question], &mut |_, answer| answers.push(answer.expect("answers")));
        assert_eq!(answers[0].reading, Ok(Verdict::Second));
        assert_eq!(answers[0].prompt.len(), 12);
    }
}
