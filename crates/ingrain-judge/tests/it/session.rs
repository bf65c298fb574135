//! Both orders, resume, failures.

use std::sync::atomic::{AtomicUsize, Ordering};

use ingrain_chat::{ChatError, ChatReply, FinishReason, Scripted};
use ingrain_judge::{Case, JudgeError, Order, Ruling, Session, Task, TextJudge, Verdict};
use ingrain_run::{Interrupt, JsonlStore, Silent};

use crate::{compare, fence, judge, obedient, rubric};

fn cases(count: usize) -> Vec<Case> {
    (0..count).map(|i| compare(&format!("case {i}"), "first reply", "second reply")).collect()
}

fn session<'a>(judge: &'a dyn ingrain_judge::Judge, interrupt: &'a Interrupt) -> Session<'a> {
    let (name, observer) = ("judge", &Silent);
    Session { name, judge, seed: 7, repeats: 1, batch_size: 4, observer, interrupt }
}

#[test]
fn every_case_is_asked_in_both_orders_and_repeated() {
    let prefers_a = obedient(|_| "A".into());
    let (rulings, report) = judge(&TextJudge::new(prefers_a, rubric(true)), &cases(3), 1);
    assert_eq!((report.questions, report.answered), (12, 12));
    for ruling in rulings {
        let expected =
            if ruling.order == Order::AsGiven { Verdict::First } else { Verdict::Second };
        assert_eq!(ruling.verdict, Some(expected));
    }
}

#[test]
fn an_interrupted_session_goes_on_where_it_stopped_and_changed_texts_are_asked_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rulings.jsonl");
    let interrupt = Interrupt::default();
    let stop = interrupt.clone();
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let model = Scripted::from_fn(move |request| {
        if count.fetch_add(1, Ordering::SeqCst) == 5 {
            stop.request();
        }
        let f = fence(&request.messages[0].content);
        format!("<answer-{f}>A</answer-{f}>")
    });
    let judge = TextJudge::new(&model, rubric(true));
    let mut store = JsonlStore::<Ruling>::open(&path).expect("opens");
    let stopped = session(&judge, &interrupt).run(&cases(3), &mut store);
    assert!(matches!(stopped, Err(JudgeError::Interrupted)));
    drop(store);
    assert_eq!(asked.load(Ordering::SeqCst), 8, "two batches of four");

    let fresh = Interrupt::default();
    let mut store = JsonlStore::<Ruling>::open(&path).expect("opens");
    let (rulings, _) = session(&judge, &fresh).run(&cases(3), &mut store).expect("judged");
    assert_eq!((rulings.len(), asked.load(Ordering::SeqCst)), (12, 12), "nothing asked twice");

    let mut changed = cases(3);
    changed[0] = compare("case 0", "another reply", "second reply");
    let (rulings, _) = session(&judge, &fresh).run(&changed, &mut store).expect("judged");
    assert_eq!((rulings.len(), asked.load(Ordering::SeqCst)), (12, 16));
}

#[test]
fn one_failure_costs_one_question_and_sixteen_in_a_row_stop() {
    let some = Scripted::try_from_fn(|request| {
        let prompt = &request.messages[0].content;
        if prompt.contains("message of case 1") {
            return Err(ChatError::Model("overloaded".into()));
        }
        let f = fence(prompt);
        let text = format!("<answer-{f}>tie</answer-{f}>");
        Ok(ChatReply { text, finish: FinishReason::Stop, prompt_tokens: 1, completion_tokens: 1 })
    });
    let (rulings, report) = judge(&TextJudge::new(some, rubric(true)), &cases(3), 0);
    assert_eq!((rulings.len(), report.failed.len()), (4, 2));
    assert!(report.failed[0].1.contains("overloaded"));

    let dead = Scripted::try_from_fn(|_| Err(ChatError::Model("gone".into())));
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = JsonlStore::<Ruling>::open(dir.path().join("r.jsonl")).expect("opens");
    let judge = TextJudge::new(&dead, rubric(true));
    let stopped = session(&judge, &Interrupt::default()).run(&cases(40), &mut store);
    assert!(matches!(stopped, Err(JudgeError::Model(_))));
    assert_eq!(dead.requests().len(), 16);
}

#[test]
fn two_cases_with_one_key_and_a_wrong_task_are_refused() {
    let model = obedient(|_| "A".into());
    let judge = TextJudge::new(model, rubric(true));
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = JsonlStore::<Ruling>::open(dir.path().join("r.jsonl")).expect("opens");
    let interrupt = Interrupt::default();
    let twice = [compare("k", "a", "b"), compare("k", "c", "d")];
    let error = session(&judge, &interrupt).run(&twice, &mut store);
    assert!(matches!(error, Err(JudgeError::DuplicateCase(key)) if key == "k"));
    let task = Task::Grade { reply: "x".into() };
    let grade = [Case { key: "g".into(), message: "m".into(), task }];
    let error = session(&judge, &interrupt).run(&grade, &mut store);
    assert!(matches!(error, Err(JudgeError::WrongTask { .. })));
}
