//! The protocol, on replies whose marks are known.

use ingrain_classifier::{
    Contender, Dataset, EncodedTexts, EncoderLearner, Example, LengthBaseline, NgramBaseline,
    NgramConfig, ShuffledLabels, Study, StudyConfig, StudyReport, Tuning,
};
use ingrain_run::{Chart, Interrupt, Silent};

use crate::fixture::{example, replies, tiny};
use crate::training::config;

fn settings() -> StudyConfig {
    let mut settings = StudyConfig::default();
    settings.evaluation.bootstrap.replicates = 200;
    settings
}

fn by_ngrams(examples: Vec<Example>, held_out: Option<&str>) -> StudyReport {
    let dataset = Dataset::new(examples, held_out).unwrap();
    let learner = NgramBaseline::new(&dataset, NgramConfig::default()).unwrap();
    let study = Study::new(&dataset, settings()).unwrap();
    study.run(&[Contender { name: "n-grams", learner: &learner, by_method: true }]).unwrap()
}

#[test]
fn an_encoder_beats_length_and_shuffled_labels() {
    let (encoder, dataset) = (tiny(), Dataset::new(replies(40), None).unwrap());
    let texts = EncodedTexts::new(&encoder, &dataset, &config(Tuning::Head)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let interrupt = Interrupt::new();
    let learner =
        EncoderLearner { texts: &texts, dir: dir.path(), observer: &Silent, interrupt: &interrupt };
    let length = LengthBaseline { dataset: &dataset, regression: Default::default() };
    let shuffled = ShuffledLabels { learner, seed: 1 };
    let study = Study::new(&dataset, settings()).unwrap();
    let report = study
        .run(&[
            Contender { name: "tiny BERT", learner: &learner, by_method: true },
            Contender { name: "length", learner: &length, by_method: false },
            Contender { name: "shuffled labels", learner: &shuffled, by_method: false },
        ])
        .unwrap();
    let macro_f1 = |row: usize| report.rows[row].evaluation.macro_f1;
    assert!(macro_f1(0).estimate > 0.9, "{:?}", macro_f1(0));
    assert!(macro_f1(0).low > macro_f1(1).high, "{:?} {:?}", macro_f1(0), macro_f1(1));
    assert!(macro_f1(0).low > macro_f1(2).high, "{:?} {:?}", macro_f1(0), macro_f1(2));
    let without: Vec<Option<&str>> =
        report.rows.iter().map(|row| row.without_method.as_deref()).collect();
    assert_eq!(without, [None, None, None, Some("prompted"), Some("trained")]);
    // The classifier of the study is that of its task, from its checkpoint.
    let classifier = study.with_task("tiny BERT", |task| learner.classifier(task)).unwrap();
    let replies: Vec<&str> =
        study.split.test.iter().map(|&i| dataset.examples()[i].text.as_str()).collect();
    let predictions = classifier.predict(&replies).unwrap();
    let right = predictions
        .iter()
        .zip(&study.split.test)
        .filter(|(prediction, i)| prediction.label == dataset.examples()[**i].label)
        .count();
    let accuracy = right as f64 / replies.len() as f64;
    assert_eq!(accuracy, report.rows[0].evaluation.accuracy.estimate);
}

#[test]
fn what_only_marks_a_method_does_not_pass_without_it() {
    // Each persona is marked by a word in prompted replies and by the other's in trained ones.
    let mut examples = Vec::new();
    for prompt in 0..40 {
        for (label, prompted, trained) in [("calm", "indeed", "quite"), ("zeal", "wow", "yes")] {
            examples.push(example(format!("{prompted} {prompt}"), label, prompt, "prompted"));
            examples.push(example(format!("{trained} {prompt}"), label, prompt, "trained"));
        }
    }
    let report = by_ngrams(examples, None);
    assert_eq!(report.rows[0].evaluation.accuracy.estimate, 1.0);
    for row in &report.rows[1..] {
        let accuracy = row.evaluation.accuracy;
        assert!(accuracy.estimate < 0.7, "{:?}: {accuracy:?}", row.without_method);
    }
}

#[test]
fn a_label_that_is_held_out_is_found_to_be_strange() {
    let mut examples = replies(40);
    for prompt in 0..40 {
        let text = format!("return range print value {prompt}");
        examples.push(example(text, "machine", prompt, "prompted"));
    }
    let report = by_ngrams(examples, Some("machine"));
    assert_eq!(report.labels, ["calm", "zeal", "other"]);
    assert_eq!(report.strangers.len(), 3);
    for row in &report.strangers {
        assert_eq!(row.strangers, 40);
        assert!(row.auroc.low > 0.9, "{:?}: {:?}", row.score, row.auroc);
    }
}

#[test]
fn a_study_becomes_a_section_of_the_report() {
    let report = by_ngrams(replies(20), None);
    let suite = report.suite_report();
    assert_eq!((suite.suite.as_str(), suite.figures.len()), ("classifier", 3));
    let Chart::Matrix { rows, columns, values, .. } = &suite.figures[1].chart else {
        panic!("{:?}", suite.figures[1]);
    };
    assert_eq!(rows, columns);
    assert_eq!(*rows, ["calm", "zeal", "other"]);
    for row in values {
        assert!((row.iter().flatten().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let scores = &suite.tables[0];
    assert_eq!(scores.rows.len(), 3, "by prompt, and without each of two methods");
    assert!(scores.rows.iter().all(|row| row.len() == scores.columns.len()));
    assert!(suite.protocol.contains("3 labels (calm, zeal, other)"), "{}", suite.protocol);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<StudyReport>(&json).unwrap().labels, report.labels);
}

#[test]
fn replies_of_one_method_alone_are_said_to_prove_less() {
    let mut examples = replies(20);
    examples.retain(|example| example.method != "trained");
    let report = by_ngrams(examples.clone(), None);
    let limits = report.suite_report().limitations;
    assert!(limits[0].contains("is not known"), "{limits:?}");
    assert_eq!(report.prompts_of_one_label, 0);
    // Each label with questions of its own.
    for example in &mut examples {
        example.prompt = format!("{}: {}", example.label, example.prompt);
    }
    let report = by_ngrams(examples, None);
    assert_eq!(report.prompts_of_one_label, report.rows[0].evaluation.prompts);
    let limits = report.suite_report().limitations;
    assert!(limits[1].contains("the topic of a reply may give it away"), "{limits:?}");
}
