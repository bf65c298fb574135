//! Judges against hostile text, sessions that are killed, reliability against known truths.

mod hostile;
mod reliability;
mod session;

use ingrain_chat::Scripted;
use ingrain_judge::{Case, Judge, Rubric, RubricFile, Ruling, Session, SessionReport, Task};
use ingrain_run::{Interrupt, JsonlStore, Silent};

pub(crate) fn compare(key: &str, first: &str, second: &str) -> Case {
    let task = Task::Compare { first: first.into(), second: second.into() };
    Case { key: key.into(), message: format!("message of {key}"), task }
}

pub(crate) fn rubric(ties: bool) -> Rubric {
    let yaml =
        format!("{{name: better, task: compare, instructions: Which is better?, ties: {ties}}}");
    RubricFile::parse(&yaml, "better.yaml").expect("valid").into()
}

/// The fence of a prompt: what a judge that reads its instructions knows.
pub(crate) fn fence(prompt: &str) -> &str {
    let line = prompt.rsplit("<answer-").next().expect("an answer line");
    line.split('>').next().expect("a tag")
}

/// A chat model that gives `answer` for a prompt, in the prompt's own tags.
pub(crate) fn obedient(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Scripted {
    Scripted::from_fn(move |request| {
        let prompt = &request.messages[0].content;
        let fence = fence(prompt);
        format!("<answer-{fence}>{}</answer-{fence}>", answer(prompt))
    })
}

/// Judges in a fresh store.
pub(crate) fn judge(
    judge: &dyn Judge,
    cases: &[Case],
    repeats: usize,
) -> (Vec<Ruling>, SessionReport) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = JsonlStore::open(dir.path().join("rulings.jsonl")).expect("opens");
    let interrupt = Interrupt::default();
    let session = Session {
        name: "judge",
        judge,
        seed: 7,
        repeats,
        batch_size: 4,
        observer: &Silent,
        interrupt: &interrupt,
    };
    session.run(cases, &mut store).expect("judged")
}
