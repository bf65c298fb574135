//! Teacher ("chosen") and student ("rejected") replies.

use std::borrow::Cow;
use std::convert::Infallible;

use ingrain_chat::{ChatReply, FinishReason, Message};
use ingrain_run::{JsonlFile, JsonlStore, Keyed, RunError};
use serde::{Deserialize, Serialize};

use crate::collect::{Work, collect};
use crate::{DataError, Generation, Prompt, Reasoning, StageReport};

/// A reply to one prompt (a line of `teacher.jsonl`, `student.jsonl` or `reflections.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// `<prompt>#<sample>`.
    pub id: String,
    /// Id of the prompt, or name of the reflection's task.
    pub prompt: String,
    /// What was asked.
    pub question: String,
    /// Which of several replies to this prompt, from 0.
    pub sample: usize,
    /// What came, as it came.
    pub reply: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of the rendered prompt.
    pub prompt_tokens: usize,
    /// Tokens of the reply.
    pub completion_tokens: usize,
}

impl Keyed for Reply {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// Replies that are read one at a time: a slice, or a file of which memory holds no text.
pub trait Replies {
    /// Why one cannot be read; [`Infallible`] for those in memory.
    type Error;

    /// How many there are.
    fn count(&self) -> usize;

    /// One of them.
    ///
    /// # Errors
    /// [`Self::Error`](Replies::Error).
    fn reply(&self, index: usize) -> Result<Cow<'_, Reply>, Self::Error>;
}

impl Replies for [Reply] {
    type Error = Infallible;

    fn count(&self) -> usize {
        self.len()
    }

    fn reply(&self, index: usize) -> Result<Cow<'_, Reply>, Infallible> {
        Ok(Cow::Borrowed(&self[index]))
    }
}

impl Replies for JsonlFile<Reply> {
    type Error = RunError;

    fn count(&self) -> usize {
        self.len()
    }

    fn reply(&self, index: usize) -> Result<Cow<'_, Reply>, RunError> {
        Ok(Cow::Owned(self.get(index)?))
    }
}

/// Indices of all replies by prompt, then by sample: what came first is chance, not seed.
pub(crate) fn in_order<R: Replies + ?Sized>(replies: &R) -> Result<Vec<usize>, R::Error> {
    let mut places = Vec::with_capacity(replies.count());
    for index in 0..replies.count() {
        let reply = replies.reply(index)?;
        places.push((reply.prompt.clone(), reply.sample, index));
    }
    places.sort();
    Ok(places.into_iter().map(|(_, _, index)| index).collect())
}

/// Asks the teacher each prompt `samples` times, with the constitution as system prompt.
///
/// All samples of a prompt travel in one batch, which is what [`ingrain_chat::Recorded`] needs.
///
/// # Errors
/// [`DataError::Interrupted`], [`DataError::GaveUp`], or a file error. Single failures are in the
/// report.
pub fn teacher_replies(
    generation: &Generation<'_>,
    system: &str,
    prompts: &[Prompt],
    samples: usize,
    store: &mut JsonlStore<Reply>,
) -> Result<StageReport, DataError> {
    reasoning_teacher_replies(generation, system, None, prompts, samples, store)
}

/// Like [`teacher_replies`], from a teacher that reasons first, if it does. With the system prompt of
/// [`crate::opposite_system`] the replies take the student's place. Records hold the reply without its
/// trace. A trace that was never closed leaves an empty reply cut off by length, which
/// [`crate::PairFilter`] counts as unfinished.
///
/// # Errors
/// As [`teacher_replies`].
pub fn reasoning_teacher_replies(
    generation: &Generation<'_>,
    system: &str,
    reasoning: Option<&Reasoning>,
    prompts: &[Prompt],
    samples: usize,
    store: &mut JsonlStore<Reply>,
) -> Result<StageReport, DataError> {
    let system = Some(system);
    let asking = Asking { system, prompts, samples, samples_together: true, reasoning };
    collect(generation, &asking, store, "replies")
}

/// Asks the model that is to be trained each prompt `samples` times, without a system prompt.
///
/// # Errors
/// As [`teacher_replies`].
pub fn student_replies(
    generation: &Generation<'_>,
    prompts: &[Prompt],
    samples: usize,
    store: &mut JsonlStore<Reply>,
) -> Result<StageReport, DataError> {
    let asking =
        Asking { system: None, prompts, samples, samples_together: false, reasoning: None };
    collect(generation, &asking, store, "replies")
}

/// Request `i` is sample `i % samples` of prompt `i / samples`.
pub(crate) struct Asking<'a> {
    pub(crate) system: Option<&'a str>,
    pub(crate) prompts: &'a [Prompt],
    pub(crate) samples: usize,
    pub(crate) samples_together: bool,
    pub(crate) reasoning: Option<&'a Reasoning>,
}

impl Work for Asking<'_> {
    type Record = Reply;

    fn len(&self) -> usize {
        self.prompts.len() * self.samples
    }

    fn key(&self, i: usize) -> String {
        format!("{}#{}", self.prompts[i / self.samples].id, i % self.samples)
    }

    fn messages(&self, i: usize, _: &JsonlStore<Reply>) -> Result<Vec<Message>, DataError> {
        let user = Message::user(&self.prompts[i / self.samples].text);
        let opening = self.reasoning.and_then(Reasoning::opening).map(Message::assistant);
        Ok(self.system.map(Message::system).into_iter().chain([user]).chain(opening).collect())
    }

    fn record(&self, i: usize, reply: ChatReply) -> Result<Reply, DataError> {
        let prompt = &self.prompts[i / self.samples];
        let (text, finish) = match self.reasoning.map(|reasoning| reasoning.reply(&reply.text)) {
            None => (reply.text, reply.finish),
            Some(Some(text)) => (text.to_owned(), reply.finish),
            Some(None) => (String::new(), FinishReason::Length),
        };
        Ok(Reply {
            id: self.key(i),
            prompt: prompt.id.clone(),
            question: prompt.text.clone(),
            sample: i % self.samples,
            reply: text,
            finish,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
        })
    }

    fn group(&self) -> usize {
        if self.samples_together { self.samples } else { 1 }
    }
}
