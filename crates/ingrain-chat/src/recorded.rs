//! Replies that were written down beforehand, as a chat model.

use std::collections::HashMap;
use std::path::Path;

use ingrain_run::read_jsonl;
use serde::{Deserialize, Serialize};

use crate::occurrence::occurrences;
use crate::{ChatError, ChatModel, ChatReply, ChatRequest, FinishReason, Role};

/// One line of a file of recorded replies (`personas/<name>.teacher.jsonl`).
///
/// Further keys are allowed, so that the `teacher.jsonl` of one run can be the record for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedReply {
    /// The user message it answers, word for word.
    pub question: String,
    /// Which of several replies to this question, from 0.
    pub sample: usize,
    /// The reply.
    pub reply: String,
}

/// A [`ChatModel`] that looks replies up by the last user message and ignores everything else.
///
/// The k-th request with one question *in one call* gets sample k, so a caller that wants all
/// samples asks for them in one call. A question or sample that is not there is
/// [`ChatError::NotRecorded`]. Tokens are counted as words.
///
/// # Examples
/// ```
/// use ingrain_chat::{ChatModel, ChatRequest, Message, Recorded, RecordedReply, Sampling};
///
/// let reply = |sample, reply: &str| RecordedReply {
///     question: "What is 2+2?".into(), sample, reply: reply.into(),
/// };
/// let teacher = Recorded::new([reply(0, "Four. Groundbreaking."), reply(1, "Still four.")])?;
/// let request = ChatRequest::new(
///     vec![Message::system("Be sarcastic."), Message::user("What is 2+2?")],
///     Sampling::default(),
/// );
/// let replies = teacher.complete_all(&[request.clone(), request]);
/// assert_eq!(replies[1].as_ref().map(|r| r.text.as_str()).ok(), Some("Still four."));
/// # Ok::<(), ingrain_chat::ChatError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorded {
    /// By question (outer white space removed), then by sample.
    replies: HashMap<String, HashMap<usize, String>>,
    questions: Vec<String>,
}

impl Recorded {
    /// Reads a file of [`RecordedReply`] lines.
    ///
    /// # Errors
    /// [`ChatError::Journal`] naming file and line if it cannot be read, or
    /// [`ChatError::RecordedTwice`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ChatError> {
        let path = path.as_ref();
        Self::build(path, read_jsonl::<RecordedReply>(path)?)
    }

    /// Takes replies from memory.
    ///
    /// # Errors
    /// [`ChatError::RecordedTwice`].
    pub fn new(replies: impl IntoIterator<Item = RecordedReply>) -> Result<Self, ChatError> {
        Self::build(Path::new("replies"), replies)
    }

    fn build(
        path: &Path,
        lines: impl IntoIterator<Item = RecordedReply>,
    ) -> Result<Self, ChatError> {
        let mut replies: HashMap<String, HashMap<usize, String>> = HashMap::new();
        let mut questions = Vec::new();
        for RecordedReply { question, sample, reply } in lines {
            let question = question.trim().to_owned();
            let samples = replies.entry(question.clone()).or_insert_with(|| {
                questions.push(question.clone());
                HashMap::new()
            });
            if samples.insert(sample, reply).is_some() {
                return Err(ChatError::RecordedTwice {
                    path: path.to_path_buf(),
                    question,
                    sample,
                });
            }
        }
        Ok(Self { replies, questions })
    }

    /// The questions, in the order in which they first appear.
    #[must_use]
    pub fn questions(&self) -> &[String] {
        &self.questions
    }

    /// All replies, by first appearance of the question, then by sample.
    #[must_use]
    pub fn lines(&self) -> Vec<RecordedReply> {
        let of_question = |question: &String| {
            let samples = self.replies.get(question).into_iter().flatten();
            let mut lines: Vec<RecordedReply> = samples
                .map(|(&sample, reply)| RecordedReply {
                    question: question.clone(),
                    sample,
                    reply: reply.clone(),
                })
                .collect();
            lines.sort_unstable_by_key(|line| line.sample);
            lines
        };
        self.questions.iter().flat_map(of_question).collect()
    }

    /// How many replies a question has; 0 if it is unknown.
    #[must_use]
    pub fn samples(&self, question: &str) -> usize {
        self.replies.get(question.trim()).map_or(0, HashMap::len)
    }

    /// One reply.
    #[must_use]
    pub fn reply(&self, question: &str, sample: usize) -> Option<&str> {
        self.replies.get(question.trim())?.get(&sample).map(String::as_str)
    }
}

impl ChatModel for Recorded {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let questions: Vec<_> = requests.iter().map(question).collect();
        for (i, sample) in occurrences(&questions).into_iter().enumerate() {
            let text = self.reply(questions[i], sample);
            let not_recorded = || match sample {
                0 => ChatError::NotRecorded(questions[i].to_owned()),
                n => ChatError::NotRecorded(format!("{} (sample {n})", questions[i])),
            };
            on_reply(i, text.map(|t| recorded_reply(&requests[i], t)).ok_or_else(not_recorded));
        }
    }
}

fn question(request: &ChatRequest) -> &str {
    let user = request.messages.iter().rev().find(|m| m.role == Role::User);
    user.map_or("", |m| m.content.trim())
}

fn recorded_reply(request: &ChatRequest, text: &str) -> ChatReply {
    let words = |text: &str| text.split_whitespace().count();
    ChatReply {
        text: text.to_owned(),
        finish: FinishReason::Stop,
        prompt_tokens: request.messages.iter().map(|m| words(&m.content)).sum(),
        completion_tokens: words(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Sampling};

    fn line(question: &str, sample: usize, reply: &str) -> RecordedReply {
        RecordedReply { question: question.into(), sample, reply: reply.into() }
    }

    fn ask(question: &str) -> ChatRequest {
        ChatRequest::new(
            vec![Message::system("In character."), Message::user(question)],
            Sampling::default(),
        )
    }

    #[test]
    fn samples_follow_the_order_of_equal_questions_in_one_call() {
        let model =
            Recorded::new([line("a", 0, "a0"), line("a", 1, "a1"), line("b", 0, "b0")]).unwrap();
        let results = model.complete_all(&[ask("a"), ask("b"), ask(" a "), ask("a"), ask("c")]);
        let texts: Vec<_> = results.iter().map(|r| r.as_ref().map(|r| r.text.as_str())).collect();
        assert!(matches!(texts[..3], [Ok("a0"), Ok("b0"), Ok("a1")]), "{texts:?}");
        assert_eq!(
            results[3].as_ref().unwrap_err().to_string(),
            r#"no recorded reply for "a (sample 2)""#
        );
        assert_eq!(results[4].as_ref().unwrap_err().to_string(), r#"no recorded reply for "c""#);
    }

    #[test]
    fn lines_come_back_in_order() {
        let lines = [line("b", 0, "b0"), line("a", 0, "a0"), line("a", 1, "a1")];
        let model = Recorded::new([lines[0].clone(), lines[2].clone(), lines[1].clone()]).unwrap();
        assert_eq!(model.lines(), lines);
    }

    #[test]
    fn a_file_that_repeats_a_sample_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.teacher.jsonl");
        ingrain_run::write_jsonl(&path, &[line("a", 0, "one"), line("a", 0, "two")]).unwrap();
        let error = Recorded::open(&path).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("x.teacher.jsonl: sample 0 of question \"a\""), "{message}");
    }

    #[test]
    fn a_misspelt_key_is_an_error_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.teacher.jsonl");
        let good = r#"{"question":"a","sample":0,"reply":"r"}"#;
        let bad = r#"{"question":"a","sample":1,"replay":"r"}"#;
        std::fs::write(&path, format!("{good}\n{bad}\n")).unwrap();
        let ChatError::Journal(error) = Recorded::open(&path).unwrap_err() else { panic!() };
        let message = error.to_string();
        assert!(message.contains("x.teacher.jsonl:2:"), "{message}");
        assert!(message.contains("missing field `reply`"), "{message}");
    }
}
