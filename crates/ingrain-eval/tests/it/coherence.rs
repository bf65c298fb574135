//! Pairwise coherence: win rates, dropped verdicts, warnings.

use ingrain_chat::{Sampling, Scripted};
use ingrain_eval::{Coherence, EvalError, Method, NamedJudge, Suite};
use ingrain_judge::{Label, OnConflict, Verdict};
use ingrain_run::{Chart, Interrupt};
use ingrain_stats::Bootstrap;

use crate::{Reader, suite_run};

fn questions(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("question {i}")).collect()
}

/// A person who sees what the judge sees: the subject wins on four questions of five.
fn labels() -> Vec<Label> {
    let label = |i| {
        let verdict = if i % 5 == 3 { Verdict::Tie } else { Verdict::First };
        Label { case: format!("system prompt/{i}"), rater: "Ann".to_owned(), verdict }
    };
    (0..50).map(label).collect()
}

#[test]
fn the_better_method_wins_as_often_as_it_is_better() {
    // The subject is in character on four questions of five; the other never.
    let subject = Scripted::from_fn(|request| {
        let question = &request.messages[0].content;
        let bland = question.ends_with('3') || question.ends_with('8');
        if bland { "bland" } else { "in character" }.to_owned()
    });
    let other = Scripted::from_fn(|request| {
        assert_eq!(request.messages[0].content, "Be in character.");
        "bland".to_owned()
    });
    let judge = Reader(|question: &ingrain_judge::Question<'_>| {
        let [a, b] = question.options()?;
        Some(a == "in character" || b == "bland")
    });
    let judges = ["org/teacher-9b", "other"].map(|name| NamedJudge { name, judge: &judge });
    let system = Some("Be in character.".to_owned());
    let suite = Coherence {
        subject: Method { name: "distilled", model: &subject, system: None },
        others: vec![Method { name: "system prompt", model: &other, system }],
        questions: questions(50),
        sampling: Sampling::default(),
        judges: judges.to_vec(),
        repeats: 1,
        labels: labels(),
        teacher: Some("Teacher-9B"),
        model: None,
        on_conflict: OnConflict::Tie,
        bootstrap: Bootstrap::default(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let report = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    // Two equal replies turn with the order: ten ties of fifty.
    let Chart::Estimates { estimates, .. } = &report.figures[0].chart else { panic!("estimates") };
    assert_eq!((estimates[0].value, estimates[0].n), (0.9, Some(50)));
    let details = &report.details["distilled against system prompt"];
    assert_eq!((&details["ties"], &details["unsettled"]), (&10.into(), &0.into()));
    let judge = &details["judges"][1];
    assert_eq!(judge["standing"]["standing"], "reliable");
    assert_eq!(judge["self_agreement"]["estimate"], 1.0, "every pair was shown again");
    assert_eq!(details["between_judges"]["pairs"][0]["kappa"]["estimate"], 1.0);
    assert_eq!(report.limitations.len(), 1);
    assert!(report.limitations[0].contains("org/teacher-9b is also the teacher"));

    let asked = subject.requests().len();
    let again = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    assert_eq!((again, subject.requests().len()), (report, asked), "nothing asked twice");
}

#[test]
fn verdicts_that_cannot_be_read_are_left_out_and_counted() {
    let model = Scripted::from_fn(|_| "reply".into());
    let judge = Reader(|question: &ingrain_judge::Question<'_>| {
        (!question.case.message.ends_with('7')).then_some(true)
    });
    let suite = Coherence {
        subject: Method { name: "a", model: &model, system: None },
        others: vec![Method { name: "b", model: &model, system: None }],
        questions: questions(20),
        sampling: Sampling::default(),
        judges: vec![NamedJudge { name: "judge", judge: &judge }],
        repeats: 0,
        labels: Vec::new(),
        teacher: None,
        model: None,
        on_conflict: OnConflict::Drop,
        bootstrap: Bootstrap::default(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let report = suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    assert_eq!(report.figures, [], "every verdict turned with the order");
    assert!(report.limitations.iter().any(|line| line.starts_with("a against b: ")));
    assert_eq!(report.details["a against b"]["unsettled"], 20);
    assert_eq!(report.details["a against b"]["judges"][0]["unreadable"]["no_answer"], 4);
    assert!(report.limitations.iter().any(|line| line.starts_with("judge judge is of unknown")));
    let namesake = Method { name: "a", model: &model, system: Some("Other.".to_owned()) };
    let twice = Coherence { others: vec![namesake], ..suite.clone() };
    let error = twice.run(&suite_run(dir.path(), &Interrupt::default()));
    assert!(matches!(error, Err(EvalError::RepeatedName(name)) if name == "a"));
    let empty = Coherence { questions: Vec::new(), ..suite };
    let error = empty.run(&suite_run(dir.path(), &Interrupt::default()));
    assert!(matches!(error, Err(EvalError::Empty("coherence"))));
}
