//! What stages send, and what they do about failures.

use std::sync::atomic::{AtomicUsize, Ordering};

use ingrain_chat::{
    ChatError, ChatModel, ChatReply, ChatRequest, FinishReason, Message, Recorded, RecordedReply,
    Scripted,
};
use ingrain_constitution::ReflectionTask;
use ingrain_data::{DataError, self_reflection, student_replies, teacher_replies};
use ingrain_run::{Event, Recorder, derive_seed};

use crate::model::{Setting, prompts, records, store};

#[test]
fn the_teacher_sees_the_constitution_and_the_student_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let model = Scripted::from_fn(|_| "Fine.".into());
    let generation = setting.generation("x", &model);
    teacher_replies(&generation, "Be dry.", &prompts(1), 1, &mut store(&dir.path().join("t")))
        .unwrap();
    student_replies(&generation, &prompts(1), 1, &mut store(&dir.path().join("s"))).unwrap();
    let sent: Vec<_> = model.requests().into_iter().map(|r| r.messages).collect();
    let question = Message::user("Question 0?");
    assert_eq!(sent, [vec![Message::system("Be dry."), question.clone()], vec![question]]);
}

#[test]
fn every_request_has_its_own_seed_from_run_stage_and_index() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let model = Scripted::from_fn(|_| "Fine.".into());
    let generation = setting.generation("student", &model);
    student_replies(&generation, &prompts(6), 1, &mut store(&dir.path().join("s"))).unwrap();
    let seeds: Vec<_> = model.requests().iter().map(|r| r.sampling.seed).collect();
    assert_eq!(seeds, (0..6).map(|i| derive_seed(7, "student", i)).collect::<Vec<_>>());
    let batches: Vec<_> = model.batches().iter().map(Vec::len).collect();
    assert_eq!(batches, [4, 2]);
}

#[test]
fn recorded_samples_arrive_in_order_whatever_the_batch_size() {
    let recorded = (0..5).flat_map(|q| {
        (0..3).map(move |sample| RecordedReply {
            question: format!("Question {q}?"),
            sample,
            reply: format!("Reply {q}.{sample}."),
        })
    });
    let model = Recorded::new(recorded).unwrap();
    for batch_size in [1, 4, 7, 100] {
        let dir = tempfile::tempdir().unwrap();
        let setting = Setting::default();
        let mut generation = setting.generation("teacher", &model);
        generation.batch_size = batch_size;
        let mut store = store(&dir.path().join("teacher.jsonl"));
        teacher_replies(&generation, "Be dry.", &prompts(5), 3, &mut store).unwrap();
        for reply in records(&store) {
            let question = &reply.prompt[5..];
            assert_eq!(reply.reply, format!("Reply {question}.{}.", reply.sample));
        }
        assert_eq!(store.len(), 15);
    }
}

#[test]
fn reflections_are_asked_with_the_constitution_and_kept_by_task() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let model = Scripted::from_fn(|_| "Dear diary.".into());
    let task = ReflectionTask { name: "diary".into(), prompt: "Write your diary.".into() };
    let mut store = store(&dir.path().join("reflections.jsonl"));
    let generation = setting.generation("reflections", &model);
    self_reflection(&generation, "Look inward.", &[task], 2, &mut store).unwrap();
    let ids: Vec<_> = records(&store).into_iter().map(|r| r.id).collect();
    assert_eq!(ids, ["diary#0", "diary#1"]);
    assert_eq!(
        model.requests()[0].messages,
        [Message::system("Look inward."), Message::user("Write your diary.")]
    );
}

#[test]
fn a_failed_request_costs_one_record_and_the_next_run_fetches_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("student.jsonl");
    let tries = AtomicUsize::new(0);
    let model = Scripted::try_from_fn(move |request| {
        let text = &request.messages[0].content;
        if text == "Question 3?" && tries.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(ChatError::Model("500 Internal Server Error".into()));
        }
        Ok(ChatReply {
            text: text.clone(),
            finish: FinishReason::Stop,
            prompt_tokens: 2,
            completion_tokens: 2,
        })
    });
    let setting = Setting::default();
    let recorder = Recorder::default();
    let mut generation = setting.generation("student", &model);
    generation.observer = &recorder;
    let first = student_replies(&generation, &prompts(10), 1, &mut store(&path)).unwrap();
    assert_eq!((first.done, first.total, first.is_complete()), (9, 10, false));
    assert_eq!(first.failed[0].key, "g00003#0");
    assert_eq!(recorder.notes(), ["student: g00003#0: model failed: 500 Internal Server Error"]);
    let second = student_replies(&generation, &prompts(10), 1, &mut store(&path)).unwrap();
    assert!(second.is_complete() && second.failed.is_empty());
    // Only the batch of the missing one was sent again, whole.
    assert_eq!(model.batches().iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4]);
}

#[test]
fn a_stage_gives_up_when_nothing_works_and_says_what_the_last_error_was() {
    let dir = tempfile::tempdir().unwrap();
    let model = Scripted::try_from_fn(|_| Err(ChatError::Model("connection refused".into())));
    let setting = Setting::default();
    let generation = setting.generation("student", &model);
    let mut store = store(&dir.path().join("s"));
    let error = student_replies(&generation, &prompts(1000), 1, &mut store).unwrap_err();
    assert!(error.to_string().contains("gave up after 16 failed requests in a row"), "{error}");
    let DataError::GaveUp { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "model failed: connection refused");
    assert_eq!(model.requests().len(), 16);
}

/// Answers some requests twice, some under a wrong number, and some never.
struct Confused;

impl ChatModel for Confused {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let reply = |text: &str| {
            Ok(ChatReply {
                text: text.into(),
                finish: FinishReason::Stop,
                prompt_tokens: 1,
                completion_tokens: 1,
            })
        };
        on_reply(1, reply("one"));
        on_reply(1, reply("one again"));
        on_reply(requests.len() + 5, reply("nobody asked"));
        on_reply(0, reply("zero"));
    }
}

#[test]
fn replies_that_come_twice_or_for_nobody_are_ignored_and_missing_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let generation = setting.generation("student", &Confused);
    let mut store = store(&dir.path().join("s"));
    let report = student_replies(&generation, &prompts(4), 1, &mut store).unwrap();
    let kept: Vec<_> = records(&store).into_iter().map(|r| (r.id, r.reply)).collect();
    let expected = [("g00001#0", "one"), ("g00000#0", "zero")];
    assert_eq!(kept, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let failed: Vec<_> = report.failed.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(failed, ["g00002#0", "g00003#0"]);
}

#[test]
fn progress_counts_earlier_records_and_a_finished_stage_is_reported_as_reused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let setting = Setting::default();
    let model = Scripted::from_fn(|_| "Two words".into());
    let generation = setting.generation("student", &model);
    student_replies(&generation, &prompts(4), 1, &mut store(&path)).unwrap();

    let recorder = Recorder::default();
    let mut generation = setting.generation("student", &model);
    generation.observer = &recorder;
    student_replies(&generation, &prompts(6), 1, &mut store(&path)).unwrap();
    let done: Vec<_> = recorder
        .events()
        .iter()
        .filter_map(|e| {
            if let Event::Progress { done, tokens, .. } = e { Some((*done, *tokens)) } else { None }
        })
        .collect();
    assert_eq!(done, [(5, 4), (6, 8)]);

    let recorder = Recorder::default();
    generation.observer = &recorder;
    student_replies(&generation, &prompts(6), 1, &mut store(&path)).unwrap();
    assert!(matches!(
        recorder.events()[..],
        [
            Event::StageStarted { total: Some(6), .. },
            Event::StageFinished { done: 6, tokens: 0, reused: true, .. }
        ]
    ));
}
