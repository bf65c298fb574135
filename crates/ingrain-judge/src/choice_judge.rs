//! A scorer that finds one of the possible answers likeliest.

use ingrain_chat::{ChatError, Message, Score, ScoreRequest, Scorer};

use crate::rubric::{Prompt, answers, tagged};
use crate::text_judge::verdict;
use crate::{Answer, Judge, JudgeError, Question, Rubric, Unreadable};

/// Judges by the log-probability of each possible answer: no text to misread, and a probability
/// beside the verdict.
#[derive(Clone, Debug)]
pub struct ChoiceJudge<S> {
    scorer: S,
    rubric: Rubric,
}

impl<S: Scorer> ChoiceJudge<S> {
    /// A judge with this rubric.
    pub fn new(scorer: S, rubric: Rubric) -> Self {
        Self { scorer, rubric }
    }

    /// Reads the scores of all possible answers to one question.
    fn read(
        question: &Question<'_>,
        prompt: Prompt,
        scores: Vec<Result<Score, ChatError>>,
    ) -> Result<Answer, JudgeError> {
        let answers = answers(prompt.allowed);
        if scores.len() != answers.len() {
            let reason = "it did not score every answer".to_owned();
            return Err(ChatError::Model(reason).into());
        }
        let totals = scores
            .into_iter()
            .map(|score| score.map(|score| score.total()))
            .collect::<Result<Vec<f64>, _>>()?;
        let said: Vec<String> =
            answers.iter().zip(&totals).map(|(a, total)| format!("{a}: {total:.4}")).collect();
        let finite = totals.iter().all(|total| total.is_finite());
        let likeliest = (0..totals.len()).max_by(|&a, &b| totals[a].total_cmp(&totals[b]));
        let equal = |best: usize| totals.iter().filter(|t| **t == totals[best]).count() > 1;
        let (reading, probability) = match likeliest {
            Some(best) if finite && !equal(best) => {
                let mass: f64 = totals.iter().map(|total| (total - totals[best]).exp()).sum();
                let read = prompt.allowed.read(&answers[best]);
                (read.map(|read| verdict(read, question.order)), Some(1.0 / mass))
            }
            _ => (Err(Unreadable::NoScore), None),
        };
        Ok(Answer { prompt: prompt.text, reply: said.join("; "), reading, probability })
    }
}

impl<S: Scorer> Judge for ChoiceJudge<S> {
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    ) {
        let asked = self.rubric.prompts(questions, on_answer);
        let mut requests = Vec::new();
        for (_, prompt) in &asked {
            requests.extend(answers(prompt.allowed).iter().map(|choice| ScoreRequest {
                messages: vec![Message::user(&prompt.text)],
                continuation: tagged(choice, prompt.fence.as_deref()),
            }));
        }
        let mut scores = self.scorer.logprobs(&requests).into_iter();
        for (index, prompt) in asked {
            let scores = scores.by_ref().take(answers(prompt.allowed).len()).collect();
            on_answer(index, Self::read(&questions[index], prompt, scores));
        }
    }
}
