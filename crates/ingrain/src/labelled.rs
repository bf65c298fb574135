//! Replies with their labels, from the files that runs and personas consist of.

use std::path::Path;

use ingrain_chat::RecordedReply;
use ingrain_classifier::{ClassifierError, Example, OTHER, read_examples};
use ingrain_constitution::Constitution;
use ingrain_run::{Sample, read_jsonl};

use crate::PipelineError;

/// What recorded replies of a persona are called.
const TEACHER_FILE: &str = ".teacher.jsonl";
/// Method of replies that a teacher wrote by the constitution.
pub(crate) const TEACHER: &str = "teacher";
/// Method of replies of the untrained model.
const BASE: &str = "base";
/// Method of replies of the finished persona.
const TRAINED: &str = "trained";

/// Examples for a persona classifier.
///
/// - A run directory gives the teacher's replies (label: the persona, method `teacher`), the untrained
///   model's replies to the same questions and to held-out ones (label [`OTHER`], method `base`), and the
///   finished persona's replies to held-out questions (method `trained`).
/// - `<persona>.teacher.jsonl` gives recorded replies of a teacher.
/// - Any other file is JSONL with a `text`, a `label`, a `prompt` and a `method` a line.
///
/// # Errors
/// [`PipelineError`] naming the file that cannot be read, or a directory that holds no replies.
pub fn labelled_replies(path: &Path) -> Result<Vec<Example>, PipelineError> {
    if path.is_dir() {
        return of_run(path);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_suffix(TEACHER_FILE) {
        Some(persona) => recorded(path, persona, TEACHER),
        None => Ok(read_examples(path)?),
    }
}

fn of_run(dir: &Path) -> Result<Vec<Example>, PipelineError> {
    let persona = Constitution::from_path(dir.join("constitution.yaml"))?.name;
    let mut examples = Vec::new();
    for (file, label, method) in
        [("teacher.jsonl", persona.as_str(), TEACHER), ("student.jsonl", OTHER, BASE)]
    {
        let path = dir.join(file);
        if path.is_file() {
            examples.extend(recorded(&path, label, method)?);
        }
    }
    let samples = dir.join("eval/samples.jsonl");
    if samples.is_file() {
        for Sample { question, base, persona: reply } in read_jsonl(&samples)? {
            let example = |text, label: &str, method: &str| Example {
                text,
                label: label.to_owned(),
                prompt: question.clone(),
                method: method.to_owned(),
            };
            let pair = [example(base, OTHER, BASE), example(reply, persona.as_str(), TRAINED)];
            examples.extend(pair);
        }
    }
    if examples.is_empty() {
        let (dir, files) = (dir.display(), "teacher.jsonl, student.jsonl, eval/samples.jsonl");
        return Err(ClassifierError::Examples(format!("{dir} has none of {files}")).into());
    }
    Ok(examples)
}

fn recorded(path: &Path, label: &str, method: &str) -> Result<Vec<Example>, PipelineError> {
    let replies: Vec<RecordedReply> = read_jsonl(path)?;
    let example = |reply: RecordedReply| Example {
        text: reply.reply,
        label: label.to_owned(),
        prompt: reply.question,
        method: method.to_owned(),
    };
    Ok(replies.into_iter().map(example).collect())
}
