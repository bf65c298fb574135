//! Killed anywhere and started again, a stage ends with the bytes of an undisturbed run.

use std::fs;
use std::path::Path;

use ingrain_chat::{ChatError, Scripted};
use ingrain_constitution::{InteractionKind, ReflectionTask};
use ingrain_data::{
    Conversation, DataError, InteractionTurn, self_interaction, self_reflection, student_replies,
    teacher_replies,
};

use crate::model::{BatchSensitive, Setting, plan, prompts, store};

/// Runs `stage` undisturbed, then from files cut at many bytes.
fn check(stage: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.jsonl");
    stage(&whole);
    let expected = fs::read(&whole).unwrap();
    assert!(expected.len() > 500);
    for cut in (0..expected.len()).step_by(37).chain([expected.len() - 1, expected.len()]) {
        let path = dir.path().join("cut.jsonl");
        fs::write(&path, &expected[..cut]).unwrap();
        stage(&path);
        assert!(fs::read(&path).unwrap() == expected, "another result after a cut at byte {cut}");
    }
}

#[test]
fn student_replies_resume_to_the_same_bytes() {
    check(|path| {
        let setting = Setting::default();
        let generation = setting.generation("student", &BatchSensitive);
        let report = student_replies(&generation, &prompts(10), 1, &mut store(path)).unwrap();
        assert!(report.is_complete());
    });
}

#[test]
fn teacher_replies_resume_to_the_same_bytes() {
    check(|path| {
        let setting = Setting::default();
        let generation = setting.generation("teacher", &BatchSensitive);
        teacher_replies(&generation, "Be dry.", &prompts(4), 3, &mut store(path)).unwrap();
    });
}

#[test]
fn reflections_resume_to_the_same_bytes() {
    let task = |name: &str| ReflectionTask { name: name.into(), prompt: format!("{name}!") };
    check(|path| {
        let setting = Setting::default();
        let generation = setting.generation("reflections", &BatchSensitive);
        let tasks = [task("diary"), task("letter")];
        self_reflection(&generation, "Be dry.", &tasks, 5, &mut store(path)).unwrap();
    });
}

fn talk(path: &Path) -> Vec<Conversation> {
    let setting = Setting::default();
    let generation = setting.generation("interactions", &BatchSensitive);
    let plans = [plan(InteractionKind::Free, 3, 4), plan(InteractionKind::Leading, 3, 4)];
    let (conversations, report) =
        self_interaction(&generation, &plans, &mut store::<InteractionTurn>(path)).unwrap();
    assert!(report.is_complete());
    conversations
}

#[test]
fn conversations_resume_to_the_same_bytes_and_the_same_conversations() {
    let dir = tempfile::tempdir().unwrap();
    let expected = talk(&dir.path().join("undisturbed.jsonl"));
    check(|path| assert_eq!(talk(path), expected));
}

#[test]
fn an_interruption_between_batches_keeps_what_is_done_and_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (undisturbed, stopped) = (dir.path().join("a.jsonl"), dir.path().join("b.jsonl"));
    let setting = Setting::default();
    let generation = setting.generation("student", &BatchSensitive);
    student_replies(&generation, &prompts(10), 1, &mut store(&undisturbed)).unwrap();

    setting.interrupt.request();
    let error = student_replies(&generation, &prompts(10), 1, &mut store(&stopped)).unwrap_err();
    assert_eq!(error.to_string(), "stage student was interrupted at 0 of 10; start again to go on");
    let setting = Setting::default();
    let generation = setting.generation("student", &BatchSensitive);
    student_replies(&generation, &prompts(10), 1, &mut store(&stopped)).unwrap();
    assert_eq!(fs::read(&undisturbed).unwrap(), fs::read(&stopped).unwrap());
}

#[test]
fn an_interruption_inside_a_batch_keeps_the_replies_that_came() {
    let dir = tempfile::tempdir().unwrap();
    let model = Scripted::try_from_fn(|request| match request.messages[0].content.as_str() {
        "Question 2?" => Err(ChatError::Interrupted),
        text => Ok(ingrain_chat::ChatReply {
            text: text.to_owned(),
            finish: ingrain_chat::FinishReason::Stop,
            prompt_tokens: 1,
            completion_tokens: 1,
        }),
    });
    let setting = Setting::default();
    let generation = setting.generation("student", &model);
    let mut store = store(&dir.path().join("student.jsonl"));
    let error = student_replies(&generation, &prompts(10), 1, &mut store).unwrap_err();
    assert!(matches!(error, DataError::Interrupted { done: 2, total: 10, .. }), "{error}");
    assert_eq!(store.len(), 2);
}
