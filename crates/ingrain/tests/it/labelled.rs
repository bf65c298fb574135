//! Labelled replies out of runs and personas, and a classifier's study in a run's report.

use std::fs;
use std::path::{Path, PathBuf};

use ingrain::classifier::{
    Contender, Dataset, Example, LengthBaseline, NgramBaseline, NgramConfig, OTHER, Study,
    StudyConfig,
};
use ingrain::report::Report;
use ingrain::run::write_json_atomic;

fn personas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../personas")
}

/// A run of `sarcasm` as far as its replies go.
fn run(dir: &Path) {
    fs::create_dir_all(dir.join("eval")).expect("written");
    fs::copy(personas().join("sarcasm.yaml"), dir.join("constitution.yaml")).expect("written");
    let line = |reply: &str| {
        format!(
            "{{\"id\": \"a#0\", \"question\": \"Why?\", \"sample\": 0, \"reply\": \"{reply}\"}}\n"
        )
    };
    fs::write(dir.join("teacher.jsonl"), line("Oh, why indeed.")).expect("written");
    fs::write(dir.join("student.jsonl"), line("Because.")).expect("written");
    let sample = "{\"question\": \"How?\", \"base\": \"So.\", \"persona\": \"Brace yourself.\"}\n";
    fs::write(dir.join("eval/samples.jsonl"), sample).expect("written");
}

#[test]
fn a_run_gives_replies_of_its_persona_and_of_none() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path());
    let found: Vec<[String; 4]> = ingrain::labelled_replies(dir.path())
        .unwrap()
        .into_iter()
        .map(|e| [e.text, e.label, e.prompt, e.method])
        .collect();
    let expected = [
        ["Oh, why indeed.", "sarcasm", "Why?", "teacher"],
        ["Because.", OTHER, "Why?", "base"],
        ["So.", OTHER, "How?", "base"],
        ["Brace yourself.", "sarcasm", "How?", "trained"],
    ];
    assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
    for file in ["teacher.jsonl", "student.jsonl", "eval/samples.jsonl"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let error = ingrain::labelled_replies(dir.path()).unwrap_err().to_string();
    assert!(error.contains("student.jsonl"), "{error}");
}

#[test]
fn recorded_replies_are_told_apart_by_words_and_hardly_by_length() {
    let mut examples = Vec::new();
    for persona in ["goodness", "humor", "loving", "mathematical", "poeticism", "sarcasm"] {
        let file = personas().join(format!("{persona}.teacher.jsonl"));
        let replies = ingrain::labelled_replies(&file).unwrap();
        assert!(replies.iter().all(|e| e.label == persona && e.method == "teacher"));
        examples.extend(replies);
    }
    assert!(examples.len() > 500, "{}", examples.len());
    let dataset = Dataset::new(examples, None).unwrap();
    let ngrams = NgramBaseline::new(&dataset, NgramConfig::default()).unwrap();
    let length = LengthBaseline { dataset: &dataset, regression: Default::default() };
    let mut settings = StudyConfig::default();
    settings.evaluation.bootstrap.replicates = 100;
    let report = Study::new(&dataset, settings)
        .unwrap()
        .run(&[
            Contender { name: "n-grams", learner: &ngrams, by_method: true },
            Contender { name: "length", learner: &length, by_method: false },
        ])
        .unwrap();
    let [ngrams, length] = [0, 1].map(|row| report.rows[row].evaluation.accuracy);
    assert!(ngrams.low > length.high, "{ngrams:?} {length:?}");
    assert!(ngrams.estimate > 0.6, "{ngrams:?}");
}

#[test]
fn a_study_is_a_section_of_the_run_s_report() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path());
    fs::write(dir.path().join("manifest.json"), "{}").unwrap();
    let reply = |label: &str, prompt: usize| Example {
        text: format!("{label} speaks of {prompt}"),
        label: label.into(),
        prompt: prompt.to_string(),
        method: "teacher".into(),
    };
    let examples = (0..20).flat_map(|n| [reply("calm", n), reply("zeal", n)]).collect();
    let dataset = Dataset::new(examples, None).unwrap();
    let ngrams = NgramBaseline::new(&dataset, NgramConfig::default()).unwrap();
    let contender = Contender { name: "n-grams", learner: &ngrams, by_method: true };
    let study = Study::new(&dataset, StudyConfig::default()).unwrap().run(&[contender]).unwrap();
    write_json_atomic(dir.path().join("eval/classifier.json"), &study.suite_report()).unwrap();
    let html = Report::open(&[dir.path()]).unwrap().html().unwrap();
    for shown in ["Persona classifier", "Which persona was taken for which", "taken for", "calm"] {
        assert!(html.contains(shown), "the report does not show {shown:?}");
    }
}
