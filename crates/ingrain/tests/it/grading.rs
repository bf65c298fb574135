//! A trained classifier as the grader of a suite.

use ingrain::chat::{Sampling, Scripted};
use ingrain::classifier::{
    ClassifierConfig, Dataset, EncodedTexts, EncoderSource, Example, PersonaClassifier,
    TextEncoder, Training, Tuning,
};
use ingrain::classifier_grader;
use ingrain::eval::{
    GradedText, Grader, Method, NamedGrader, Recognition, Scenario, Subject, Suite, SuiteRun,
};
use ingrain::run::{Chart, Interrupt, Silent};
use ingrain::stats::Bootstrap;

use crate::tiny;

/// Replies that one word tells apart.
fn examples() -> Vec<Example> {
    let topics = ["cat", "mat", "hat", "storm", "weather", "table", "teacher"];
    let of = |(index, topic): (usize, &&str)| {
        [("that", "calm"), ("what", "zeal")].map(|(mark, label)| Example {
            text: format!("{mark} {topic} {mark} the {topic} {mark}"),
            label: label.to_owned(),
            prompt: format!("question {index}"),
            method: "prompted".to_owned(),
        })
    };
    topics.iter().enumerate().flat_map(of).collect()
}

/// The tiny encoder with a head that has learnt them.
fn classifier() -> PersonaClassifier {
    let dir = tempfile::tempdir().expect("a directory");
    let source = tiny::fixture("encoders/bert").display().to_string();
    let source: EncoderSource = source.parse().expect("a directory");
    let device = ingrain::lm::device("cpu").expect("always there");
    let encoder = TextEncoder::load(&source, &device, &Silent).expect("loads");
    let dataset = Dataset::new(examples(), None).expect("two labels");
    let mut config = ClassifierConfig::for_tuning(Tuning::Head);
    config.train.epochs = 60;
    config.train.learning_rate = 3e-2;
    config.train.batch_size = 2;
    let texts = EncodedTexts::new(&encoder, &dataset, &config).expect("read");
    let all: Vec<usize> = (0..dataset.examples().len()).collect();
    let classes: Vec<usize> = dataset.classes().iter().copied().flatten().collect();
    let interrupt = Interrupt::new();
    let training = Training { dir: dir.path(), observer: &Silent, interrupt: &interrupt };
    PersonaClassifier::train(&texts, &all, &classes, dataset.labels(), &training).expect("learns")
}

#[test]
fn a_trained_classifier_says_in_a_suite_whose_the_replies_are() {
    let classifier = classifier();
    let replies = ["that cat that the cat that", "what storm what the storm what"];
    let said = classifier.predict(&replies).expect("reads");
    let grader = classifier_grader(classifier);
    assert_eq!(grader.labels(), ["calm", "zeal"]);
    let texts = replies.map(|reply| GradedText { message: "Why?", reply });
    for (row, said) in grader.grade(&texts).into_iter().zip(&said) {
        assert_eq!(row.expect("graded"), said.probabilities);
    }
    assert_eq!([said[0].label.as_str(), said[1].label.as_str()], ["calm", "zeal"]);

    // Both drop their character where something is asked in a second paragraph.
    let speaker = |own: &'static str| {
        Scripted::from_fn(move |request| {
            let last = request.messages.last().map_or("", |m| m.content.as_str());
            if last.contains("\n\n") { "what table what the table what".into() } else { own.into() }
        })
    };
    let (calm, zeal) = (speaker(replies[0]), speaker(replies[1]));
    let subject = |persona: &str, model| Subject {
        persona: persona.to_owned(),
        method: Method { name: "distilled", model, system: None },
    };
    let kinds = ["plain", "suffix"];
    let suite = Recognition {
        name: "robustness",
        title: "Robustness",
        subjects: vec![subject("calm", &calm), subject("zeal", &zeal)],
        untrained: None,
        questions: (0..4).map(|i| format!("question {i}")).collect(),
        scenarios: Scenario::robustness()
            .into_iter()
            .filter(|s| kinds.contains(&&*s.kind))
            .collect(),
        sampling: Sampling::default(),
        graders: vec![NamedGrader { name: "classifier", grader: &grader }],
        bootstrap: Bootstrap { replicates: 100, ..Bootstrap::default() },
    };
    let (dir, interrupt) = (tempfile::tempdir().expect("a directory"), Interrupt::new());
    let run = SuiteRun {
        dir: dir.path(),
        seed: 0,
        batch_size: 8,
        observer: &Silent,
        interrupt: &interrupt,
    };
    let report = suite.run(&run).expect("runs");
    let value = |figure: &str, label: &str| {
        let figure = report.figures.iter().find(|f| f.id == figure).expect("the figure is there");
        let Chart::Estimates { estimates, .. } = &figure.chart else { panic!("estimates") };
        estimates.iter().find(|row| row.label == label).expect("the row is there").value
    };
    assert_eq!(value("recognised-classifier", "distilled: plain"), 1.0);
    // All are taken for zeal then: one of the two characters is recognised.
    assert_eq!(value("recognised-classifier", "distilled: suffix"), 0.5);
    let stable = |kind: &str| value("stable-classifier-calm-distilled", kind);
    assert!(stable("plain") > 0.5 && stable("suffix") < 0.5);
}
