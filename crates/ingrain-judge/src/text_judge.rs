//! A chat model that answers in words.

use ingrain_chat::{ChatModel, ChatRequest, FinishReason, Message, Sampling};

use crate::parse::{Read, parse};
use crate::rubric::Prompt;
use crate::{Answer, Judge, JudgeError, Order, Question, Rubric, Unreadable, Verdict};

/// Judges by what a chat model writes.
#[derive(Clone, Debug)]
pub struct TextJudge<M> {
    model: M,
    rubric: Rubric,
    sampling: Sampling,
}

impl<M: ChatModel> TextJudge<M> {
    /// A judge that decodes greedily, up to 1,024 tokens.
    pub fn new(model: M, rubric: Rubric) -> Self {
        Self { model, rubric, sampling: Sampling::greedy(1_024) }
    }

    /// Samples in another way; the seed is replaced, question by question.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }
}

impl<M: ChatModel> Judge for TextJudge<M> {
    fn answer(
        &self,
        questions: &[Question<'_>],
        on_answer: &mut dyn FnMut(usize, Result<Answer, JudgeError>),
    ) {
        let asked = self.rubric.prompts(questions, on_answer);
        let request = |(index, prompt): &(usize, Prompt)| {
            let sampling = Sampling { seed: questions[*index].seed, ..self.sampling.clone() };
            ChatRequest::new(vec![Message::user(&prompt.text)], sampling)
        };
        let requests: Vec<ChatRequest> = asked.iter().map(request).collect();
        self.model.complete(&requests, &mut |at, reply| {
            let Some((index, prompt)) = asked.get(at) else { return };
            let answer = reply.map_err(JudgeError::from).map(|reply| {
                let reading = if reply.finish == FinishReason::Length {
                    Err(Unreadable::CutOff)
                } else {
                    parse(&reply.text, prompt.fence.as_deref(), prompt.allowed)
                        .map(|read| verdict(read, questions[*index].order))
                };
                let prompt = prompt.text.clone();
                Answer { prompt, reply: reply.text, reading, probability: None }
            });
            on_answer(*index, answer);
        });
    }
}

/// Undoes the order shown.
pub(crate) fn verdict(read: Read, order: Order) -> Verdict {
    match read {
        Read::A => Verdict::of_letter(true, order),
        Read::B => Verdict::of_letter(false, order),
        Read::Tie => Verdict::Tie,
        Read::Grade(grade) => Verdict::Grade(grade),
    }
}
