//! What the method's reference implementation leaves on disk, so that a run can start from it at
//! any stage.
//!
//! `dpo/<model>/*.jsonl` and `sft_data/<model>/*.jsonl` are read by [`super::read_pairs`] and
//! [`super::read_transcripts`]; the rest is here.
//!
//! # Source
//! The public code of Maiya et al. 2025, arXiv:2511.01689 (column names).

use std::collections::HashMap;
use std::path::Path;

use ingrain_chat::FinishReason;
use ingrain_constitution::InteractionKind;
use serde_json::Value;

use super::file::read;
use crate::first_turns::for_each_record;
use crate::interaction::GREETING_TURNS;
use crate::{Conversation, DataError, Prompt, Reply};

/// Columns of a wide distillation file that are no student.
const NOT_STUDENTS: [&str; 2] = ["prompt", "response"];

/// A wide `distillation/<persona>.jsonl`, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distillation {
    /// The different prompts, in order, as general ones: the file does not say which assertion they
    /// belong to.
    pub prompts: Vec<Prompt>,
    /// Column `response`.
    pub teacher: Vec<Reply>,
    /// The column named after the student.
    pub student: Vec<Reply>,
    /// All columns named after students.
    pub students: Vec<String>,
}

/// Reads a wide distillation file: `prompt`, `response`, and a column for each student. The k-th
/// row of a prompt is sample k; a missing or `null` reply is left out. Without a `student`, none is read.
///
/// # Errors
/// [`DataError::Format`] if `student` is no column of the file, or for a record that is none.
pub fn read_reference_distillation(
    path: impl AsRef<Path>,
    student: Option<&str>,
) -> Result<Distillation, DataError> {
    let path = path.as_ref();
    let mut out = Distillation::default();
    let mut seen: HashMap<String, (String, usize)> = HashMap::new();
    for_each_record(path, false, |line, record| {
        let Some(question) = record.get("prompt").and_then(Value::as_str) else {
            let reason = "no text in column \"prompt\"".to_owned();
            return Err(DataError::Format { path: path.to_path_buf(), line, reason });
        };
        for name in record.as_object().into_iter().flat_map(|o| o.keys()) {
            if !NOT_STUDENTS.contains(&name.as_str()) && !out.students.contains(name) {
                out.students.push(name.clone());
            }
        }
        let next = format!("g{:05}", out.prompts.len());
        let (id, samples) = seen.entry(question.to_owned()).or_insert_with(|| {
            let text = question.to_owned();
            out.prompts.push(Prompt { id: next.clone(), text, assertion: None });
            (next, 0)
        });
        let sample = *samples;
        *samples += 1;
        let reply = |column: &str| {
            let text = record.get(column).and_then(Value::as_str)?;
            Some(reply(id, question, sample, text))
        };
        out.teacher.extend(reply("response"));
        out.student.extend(student.and_then(reply));
        Ok(true)
    })?;
    if let Some(student) = student
        && !out.students.iter().any(|s| s == student)
    {
        let reason = format!("no column {student:?}; students here: {}", out.students.join(", "));
        return Err(DataError::Format { path: path.to_path_buf(), line: 1, reason });
    }
    Ok(out)
}

/// Reads `self_reflection/<model>/<persona>.jsonl`: `prompt`, `response`. Tasks are numbered in the
/// order in which they first appear.
///
/// # Errors
/// [`DataError::Format`] for a record that is none, or [`DataError::Run`].
pub fn read_reference_reflections(path: impl AsRef<Path>) -> Result<Vec<Reply>, DataError> {
    let mut texts = read(path.as_ref(), |_, record| {
        let field = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
        field("prompt").zip(field("response")).ok_or_else(|| "no prompt and response".to_owned())
    })?;
    let mut seen: HashMap<String, (usize, usize)> = HashMap::new();
    let number = |(task, text): (String, String)| {
        let tasks = seen.len();
        let (at, samples) = seen.entry(task.clone()).or_insert((tasks, 0));
        let sample = *samples;
        *samples += 1;
        reply(&format!("task-{at:02}"), &task, sample, &text)
    };
    Ok(texts.drain(..).map(number).collect())
}

/// Reads `self_interaction/<model>/<persona>.jsonl` (free) or `<persona>-leading.jsonl`: two
/// greetings and the conversation, greetings included or not.
///
/// # Errors
/// As [`read_reference_reflections`].
pub fn read_reference_interactions(
    path: impl AsRef<Path>,
    kind: InteractionKind,
) -> Result<Vec<Conversation>, DataError> {
    read(path.as_ref(), |i, record| {
        let turns = turns(record)?;
        let complete = turns.len() > GREETING_TURNS;
        Ok(Conversation { id: format!("{}-{i:05}", kind.as_str()), kind, turns, complete })
    })
}

fn turns(record: &Value) -> Result<Vec<String>, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let said = record.get("conversation").and_then(Value::as_array);
    let said = said.ok_or("no list \"conversation\"")?;
    let said: Option<Vec<String>> = said.iter().map(text).collect();
    let mut said = said.ok_or("a turn of \"conversation\" is no text")?;
    let greeting = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
    if let (Some(first), Some(second)) = (greeting("greeting_1"), greeting("greeting_2")) {
        let there = said.first() == Some(&first) && said.get(1) == Some(&second);
        if !there {
            said.splice(..0, [first, second]);
        }
    }
    Ok(said)
}

fn reply(prompt: &str, question: &str, sample: usize, text: &str) -> Reply {
    Reply {
        id: format!("{prompt}#{sample}"),
        prompt: prompt.to_owned(),
        question: question.to_owned(),
        sample,
        reply: text.to_owned(),
        finish: FinishReason::Stop,
        prompt_tokens: 0,
        completion_tokens: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sarcasm.jsonl");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_wide_file_becomes_prompts_and_numbered_samples() {
        let (_dir, path) = file(
            "{\"prompt\":\"Why?\",\"response\":\"Oh.\",\"llama\":\"Because.\",\"qwen\":\"Well.\"}\n\
             {\"prompt\":\"How?\",\"response\":\"So.\",\"llama\":null}\n\
             {\"prompt\":\"Why?\",\"response\":\"Sigh.\",\"llama\":\"It is.\"}\n",
        );
        let got = read_reference_distillation(&path, Some("llama")).unwrap();
        assert_eq!(got.students, ["llama", "qwen"]);
        assert_eq!(got.prompts.iter().map(|p| &*p.text).collect::<Vec<_>>(), ["Why?", "How?"]);
        let ids = |replies: &[Reply]| replies.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&got.teacher), ["g00000#0", "g00001#0", "g00000#1"]);
        assert_eq!(ids(&got.student), ["g00000#0", "g00000#1"]);
        let error = read_reference_distillation(&path, Some("gemma")).unwrap_err().to_string();
        assert!(error.contains("no column \"gemma\"; students here: llama, qwen"), "{error}");
    }

    #[test]
    fn reflections_are_numbered_by_task_and_sample() {
        let (_dir, path) = file(
            "{\"prompt\":\"Diary.\",\"response\":\"Dear.\",\"messages\":[]}\n\
             {\"prompt\":\"Letter.\",\"response\":\"Hello.\",\"messages\":[]}\n\
             {\"prompt\":\"Diary.\",\"response\":\"Dear again.\",\"messages\":[]}\n",
        );
        let ids: Vec<_> =
            read_reference_reflections(&path).unwrap().into_iter().map(|r| r.id).collect();
        assert_eq!(ids, ["task-00#0", "task-01#0", "task-00#1"]);
    }

    #[test]
    fn conversations_have_their_greetings_once() {
        for said in [r#"["Hi.","Hello.","So."]"#, r#"["So."]"#] {
            let line =
                format!(r#"{{"greeting_1":"Hi.","greeting_2":"Hello.","conversation":{said}}}"#);
            let (_dir, path) = file(&line);
            let got = read_reference_interactions(&path, InteractionKind::Leading).unwrap();
            assert_eq!(got[0].turns, ["Hi.", "Hello.", "So."]);
            assert_eq!((got[0].id.as_str(), got[0].last_speaker()), ("leading-00000", 0));
        }
    }
}
