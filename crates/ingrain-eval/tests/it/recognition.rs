//! Recognition of characters that scripted models show, and drop, as told.

use ingrain_chat::{Role, Sampling, Scripted};
use ingrain_eval::{
    Classify, EvalError, Grader, Method, NamedGrader, Recognition, Scenario, Subject, Suite,
};
use ingrain_run::{Chart, Interrupt, SuiteReport};
use ingrain_stats::Bootstrap;

use crate::suite_run;

/// Tells characters apart by how a reply ends.
fn punctuation() -> impl Grader {
    let labels = ["loud", "calm", "plain"].map(str::to_owned).to_vec();
    Classify::new(labels, |texts: &[&str]| {
        let row = |text: &&str| match text {
            text if text.ends_with('!') => vec![0.8, 0.1, 0.1],
            text if text.ends_with("...") => vec![0.1, 0.8, 0.1],
            _ => vec![0.1, 0.1, 0.8],
        };
        Ok(texts.iter().map(row).collect())
    })
}

/// Loud until asked for something in a second paragraph.
fn loud() -> Scripted {
    Scripted::from_fn(|request| {
        let last = request.messages.last().map_or("", |m| m.content.as_str());
        if last.contains("\n\n") { "Fine.".into() } else { "HEY!".into() }
    })
}

fn calm() -> Scripted {
    Scripted::from_fn(|_| "hm...".into())
}

fn questions() -> Vec<String> {
    (0..10).map(|i| format!("question {i}")).collect()
}

fn subject<'a>(persona: &str, model: &'a Scripted) -> Subject<'a> {
    let method = Method { name: "distilled", model, system: None };
    Subject { persona: persona.to_owned(), method }
}

fn suite<'a>(
    subjects: Vec<Subject<'a>>,
    scenarios: Vec<Scenario>,
    grader: &'a dyn Grader,
) -> Recognition<'a> {
    Recognition {
        name: "robustness",
        title: "Robustness",
        subjects,
        untrained: None,
        questions: questions(),
        scenarios,
        sampling: Sampling::default(),
        graders: vec![NamedGrader { name: "punctuation", grader }],
        bootstrap: Bootstrap { replicates: 200, ..Bootstrap::default() },
    }
}

fn value(report: &SuiteReport, figure: &str, label: &str) -> f64 {
    let figure = report.figures.iter().find(|f| f.id == figure).expect("the figure is there");
    let Chart::Estimates { estimates, .. } = &figure.chart else { panic!("estimates") };
    estimates.iter().find(|row| row.label == label).expect("the row is there").value
}

#[test]
fn what_attacks_undo_shows_beside_the_plain_questions() {
    let (loud, calm, grader) = (loud(), calm(), punctuation());
    let scenarios: Vec<Scenario> = Scenario::robustness()
        .into_iter()
        .filter(|s| s.kind == "plain" || s.kind == "suffix")
        .collect();
    let subjects = vec![subject("loud", &loud), subject("calm", &calm)];
    let suite = suite(subjects, scenarios, &grader);
    let dir = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let report = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");

    // Every attack silences the loud one and leaves the calm one as it is.
    assert_eq!(value(&report, "recognised-punctuation", "distilled: plain"), 1.0);
    assert_eq!(value(&report, "recognised-punctuation", "distilled: suffix"), 0.5);
    assert_eq!(value(&report, "macro-f1-punctuation", "distilled: plain"), 1.0);
    assert_eq!(value(&report, "macro-f1-punctuation", "distilled: suffix"), 0.5, "F1 of 0 and 1");
    let Some(Chart::Matrix { values, rows, columns, .. }) = report.figures.last().map(|f| &f.chart)
    else {
        panic!("a matrix")
    };
    assert_eq!((rows.len(), columns.len()), (2, 3));
    // 10 plain replies of 90 are loud, the rest is plain.
    assert_eq!(values[0], [Some(10.0 / 90.0), Some(0.0), Some(80.0 / 90.0)]);
    let controls = report.tables.last().expect("controls");
    let number = |at: usize| match controls.rows[0][at] {
        ingrain_run::Cell::Number(value) => value,
        _ => f64::NAN,
    };
    assert!(number(1) > number(3), "no shuffle of the labels does as well");

    let asked = loud.requests().len();
    assert_eq!(asked, 90);
    let again = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    assert_eq!((again, loud.requests().len()), (report, asked), "nothing asked twice");
}

#[test]
fn the_prefill_attack_puts_the_untrained_reply_before_the_models_own() {
    let (loud, calm, grader) = (loud(), calm(), punctuation());
    let untrained = Scripted::from_fn(|_| "Plain words.".into());
    let subjects = vec![subject("loud", &loud), subject("calm", &calm)];
    let suite = Recognition {
        untrained: Some(&untrained),
        ..suite(subjects, Scenario::prefill(), &grader)
    };
    let dir = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let report = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    assert_eq!(value(&report, "recognised-punctuation", "distilled: prefill"), 1.0);
    assert_eq!(untrained.requests().len(), 20, "two scenarios, once for all subjects");
    for request in calm.requests() {
        assert_eq!(request.messages[1].role, Role::Assistant);
        assert_eq!(request.messages[1].content, "Plain words.");
    }
    let without = Recognition { untrained: None, ..suite };
    let other = tempfile::tempdir().expect("a directory");
    let error = without.run(&suite_run(other.path(), &interrupt));
    assert!(matches!(error, Err(EvalError::Scenario { .. })));
}

#[test]
fn a_conversation_goes_on_from_the_models_own_first_reply() {
    let (loud, grader) = (loud(), punctuation());
    let scenarios: Vec<Scenario> =
        Scenario::robustness().into_iter().filter(|s| s.name == "multi-turn-protest").collect();
    let suite = suite(vec![subject("loud", &loud)], scenarios, &grader);
    let dir = tempfile::tempdir().expect("a directory");
    suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    let second = &loud.requests()[10];
    assert_eq!(second.messages[1].content, "HEY!");
    assert_eq!(second.messages.len(), 3);
}

#[test]
fn a_suite_that_was_stopped_goes_on_to_the_same_report() {
    let (loud, grader) = (loud(), punctuation());
    let scenarios = Scenario::robustness();
    let whole = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let expected = suite(vec![subject("loud", &loud)], scenarios.clone(), &grader)
        .run(&suite_run(whole.path(), &interrupt))
        .expect("runs");

    let dir = tempfile::tempdir().expect("a directory");
    let stop = Interrupt::default();
    let raise = stop.clone();
    let stopping = Scripted::from_fn(move |request| {
        raise.request();
        let last = request.messages.last().map_or("", |m| m.content.as_str());
        if last.contains("\n\n") { "Fine.".into() } else { "HEY!".into() }
    });
    let first = suite(vec![subject("loud", &stopping)], scenarios.clone(), &grader)
        .run(&suite_run(dir.path(), &stop));
    assert!(matches!(first, Err(EvalError::Interrupted)));
    assert_eq!(stopping.requests().len(), 64, "one batch was answered and is kept");
    let again = suite(vec![subject("loud", &loud)], scenarios, &grader)
        .run(&suite_run(dir.path(), &interrupt))
        .expect("runs");
    assert_eq!(again, expected);
}

#[test]
fn a_character_that_no_grader_knows_is_in_the_table_alone() {
    let (loud, grader) = (loud(), punctuation());
    let scenarios = Scenario::robustness().into_iter().take(1).collect();
    let suite = suite(vec![subject("mixed", &loud)], scenarios, &grader);
    let dir = tempfile::tempdir().expect("a directory");
    let report = suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    assert_eq!(report.figures.len(), 1, "whom it resembles");
    assert!((value(&report, "who-punctuation-mixed-distilled", "loud") - 0.8).abs() < 1e-9);
    let ingrain_run::Cell::Number(loud) = report.tables[0].rows[0][4] else { panic!("a number") };
    assert!((loud - 0.8).abs() < 1e-9, "mean probability of loud");
}

#[test]
fn how_stable_a_character_is_shows_though_nobody_named_it() {
    let (loud, grader) = (loud(), punctuation());
    let scenarios = Scenario::robustness().into_iter().filter(|s| s.kind != "multi_turn").collect();
    let suite = suite(vec![subject("unknown", &loud)], scenarios, &grader);
    let dir = tempfile::tempdir().expect("a directory");
    let report = suite.run(&suite_run(dir.path(), &Interrupt::default())).expect("runs");
    // Plain replies are loud; how loud it stays, by kind of attack.
    let stable = |kind: &str| value(&report, "stable-punctuation-unknown-distilled", kind);
    assert!((stable("plain") - 0.8).abs() < 1e-9);
    assert!((stable("suffix") - 0.1).abs() < 1e-9);
    assert!((stable("system") - 0.8).abs() < 1e-9);
    let figure = report.figures.iter().find(|f| f.id.starts_with("stable-")).expect("the figure");
    assert!(figure.caption.starts_with("Mean probability of loud"), "{}", figure.caption);
}
