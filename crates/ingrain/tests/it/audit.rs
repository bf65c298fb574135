//! An audit of an adapter of the tiny model.

use std::fs;

use ingrain::chat::Sampling;
use ingrain::eval::{Benchmark, Classify, DriftTarget, NamedGrader};
use ingrain::lm::{LocalModel, ModelSource};
use ingrain::run::{Interrupt, Silent};
use ingrain::{Audit, Audited};

use crate::tiny;

fn local<'a>(name: &'a str, model: &'a LocalModel) -> Audited<'a> {
    Audited { name, chat: model, scorer: Some(model), text: Some(model), system: None }
}

#[test]
fn an_audit_measures_what_there_is_and_says_what_there_is_not() {
    let tmp = tempfile::tempdir().expect("a directory");
    tiny::run(tmp.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("trains");
    let run = tmp.path().join("run");
    let source: ModelSource = tiny::recipe().model.parse().expect("a directory");
    let device = ingrain::lm::device("cpu").expect("always there");
    let files = source.resolve(&Silent).expect("is there");
    let before = LocalModel::load(&files, &device).expect("loads");
    let after = before.adapted(&run.join("persona")).expect("fits");
    let grader = Classify::new(vec!["tiny".into(), "other".into()], |texts: &[&str]| {
        Ok(texts.iter().map(|_| vec![0.75, 0.25]).collect())
    });
    let pairs = tiny::persona(tmp.path()).heldout_pairs().expect("recorded");
    let out = tmp.path().join("audit");
    let audit = Audit {
        subject: local("adapter", &after),
        before: Some(local("before", &before)),
        persona: Some("tiny".into()),
        grader: NamedGrader { name: "fixed", grader: &grader },
        targets: vec![DriftTarget { name: "tiny".into(), pairs }],
        questions: vec!["Is tea good?".into()],
        benchmarks: vec![Benchmark::general().first(8)],
        sampling: Sampling { max_new_tokens: 4, ..Sampling::default() },
        seed: 1,
        limitations: vec!["Asked in a test.".into()],
        facts: vec![("persona".into(), "tiny".into())],
        out: out.clone(),
        observer: &Silent,
        interrupt: Interrupt::new(),
    };
    let reports = audit.run().expect("runs");
    let names: Vec<&str> = reports.iter().map(|report| report.suite.as_str()).collect();
    let expected =
        ["robustness", "out-of-chat", "prefill", "drift", "psychometrics", "capabilities"];
    assert_eq!(names, expected);
    assert!(
        reports.iter().all(|report| report.limitations.iter().any(|l| l == "Asked in a test."))
    );
    let page = fs::read_to_string(out.join("report.html")).expect("a page");
    for title in ["Robustness", "Away from chat", "Drift", "Psychometrics", "Capabilities"] {
        assert!(page.contains(title), "{title}");
    }

    // An endpoint: replies only, and nothing to compare with.
    let subject = Audited { scorer: None, text: None, ..audit.subject.clone() };
    let out = tmp.path().join("endpoint");
    let endpoint = Audit { subject, before: None, persona: None, out, ..audit };
    let reports = endpoint.run().expect("runs");
    assert_eq!(reports.len(), 2);
    let limits = reports[0].limitations.join(" ");
    assert!(limits.contains("no log-probabilities") && limits.contains("Nobody said"), "{limits}");
}
