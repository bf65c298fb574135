//! A classifier on disk.

use std::fs;

use ingrain_classifier::{
    ClassifierError, EncodedTexts, EncoderSource, PersonaClassifier, TextEncoder, Training, Tuning,
};
use ingrain_run::{Interrupt, Silent};

use crate::fixture::{dataset, device, tiny};
use crate::training::config;

fn trained(encoder: &TextEncoder, tuning: Tuning) -> PersonaClassifier {
    let (dir, dataset) = (tempfile::tempdir().unwrap(), dataset(7));
    let texts = EncodedTexts::new(encoder, &dataset, &config(tuning)).unwrap();
    let examples: Vec<usize> = (0..dataset.examples().len()).collect();
    let classes: Vec<usize> = dataset.classes().iter().copied().flatten().collect();
    let interrupt = Interrupt::new();
    let training = Training { dir: dir.path(), observer: &Silent, interrupt: &interrupt };
    PersonaClassifier::train(&texts, &examples, &classes, dataset.labels(), &training).unwrap()
}

const REPLIES: [&str; 3] =
    ["the cat that the mat", "what storm and the mat what", "the hat said the cat"];

#[test]
fn a_classifier_that_was_written_and_read_says_the_same_to_the_bit() {
    for tuning in [Tuning::Head, Tuning::Full] {
        let classifier = trained(&tiny(), tuning).with_temperature(1.7);
        let dir = tempfile::tempdir().unwrap();
        classifier.save(dir.path()).unwrap();
        let read = PersonaClassifier::load(dir.path(), &device(), &Silent).unwrap();
        assert_eq!(read.labels(), classifier.labels());
        assert_eq!(read.config(), classifier.config());
        assert_eq!(read.predict(&REPLIES).unwrap(), classifier.predict(&REPLIES).unwrap());
        // Written over itself, it is still there.
        read.save(dir.path()).unwrap();
        let again = PersonaClassifier::load(dir.path(), &device(), &Silent).unwrap();
        assert_eq!(again.predict(&REPLIES).unwrap(), classifier.predict(&REPLIES).unwrap());
    }
}

#[test]
fn over_the_frozen_built_in_encoder_only_the_head_is_written() {
    let encoder = TextEncoder::load(&EncoderSource::Builtin, &device(), &Silent).unwrap();
    let classifier = trained(&encoder, Tuning::Head);
    let dir = tempfile::tempdir().unwrap();
    classifier.save(dir.path()).unwrap();
    let mut files: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["classifier.json", "head.safetensors"]);
    let read = PersonaClassifier::load(dir.path(), &device(), &Silent).unwrap();
    assert_eq!(read.predict(&REPLIES).unwrap(), classifier.predict(&REPLIES).unwrap());
}

#[test]
fn a_description_that_cannot_be_true_is_named() {
    let dir = tempfile::tempdir().unwrap();
    trained(&tiny(), Tuning::Head).save(dir.path()).unwrap();
    let path = dir.path().join("classifier.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, words) in [
        ("\"format\": 1", "\"format\": 9", "has format 9; expected 1"),
        ("\"temperature\": 1.0", "\"temperature\": -1.0", "temperature is -1"),
        ("\"max_tokens\": 256", "\"max_tokens\": 1", "`max_tokens` is 1"),
        ("\"labels\"", "\"names\"", "is no description of a classifier"),
        ("\"zeal\",", "", "shape"),
    ] {
        assert!(good.contains(from), "{from} is not in {good}");
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = PersonaClassifier::load(dir.path(), &device(), &Silent).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = PersonaClassifier::load(dir.path(), &device(), &Silent).unwrap_err();
    assert!(matches!(error, ClassifierError::Lm(_)), "{error}");
    assert!(error.to_string().contains("classifier.json"), "{error}");
}
