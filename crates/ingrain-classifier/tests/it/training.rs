//! Training: a tiny encoder learns, only what should learn moves, and a resumed run equals another.

use std::path::Path;

use ingrain_classifier::{
    ClassifierConfig, ClassifierError, EncodedTexts, PersonaClassifier, Training, Tuning,
};
use ingrain_run::{Event, Interrupt, Observer, Silent};
use ingrain_train::TrainError;

use crate::fixture::{dataset, tiny};

/// Few epochs at a high rate: the encoder is random and small.
pub(crate) fn config(tuning: Tuning) -> ClassifierConfig {
    let mut config = ClassifierConfig::for_tuning(tuning);
    config.train.epochs = if tuning == Tuning::Head { 60 } else { 8 };
    config.train.learning_rate = if tuning == Tuning::Head { 3e-2 } else { 3e-3 };
    config.train.batch_size = 10;
    config
}

struct Outcome {
    accuracy: f64,
    logits: Vec<Vec<f64>>,
    classifier: PersonaClassifier,
}

fn train(
    config: &ClassifierConfig,
    dir: &Path,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Outcome, ClassifierError> {
    let (encoder, dataset) = (tiny(), dataset(14));
    let texts = EncodedTexts::new(&encoder, &dataset, config)?;
    let examples: Vec<usize> = (0..dataset.examples().len()).collect();
    let classes: Vec<usize> = dataset.classes().iter().copied().flatten().collect();
    let training = Training { dir, observer, interrupt };
    let classifier =
        PersonaClassifier::train(&texts, &examples, &classes, dataset.labels(), &training)?;
    let replies: Vec<&str> = dataset.examples().iter().map(|e| e.text.as_str()).collect();
    let predictions = classifier.predict(&replies)?;
    let right = predictions.iter().zip(dataset.examples()).filter(|(p, e)| p.label == e.label);
    let accuracy = right.count() as f64 / replies.len() as f64;
    Ok(Outcome { accuracy, logits: classifier.logits(&replies)?, classifier })
}

fn undisturbed(tuning: Tuning) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    train(&config(tuning), dir.path(), &Silent, &Interrupt::new()).unwrap()
}

#[test]
fn a_tiny_encoder_learns_its_examples_by_head_blocks_or_in_full() {
    for tuning in [Tuning::Head, Tuning::Blocks, Tuning::Full] {
        let accuracy = undisturbed(tuning).accuracy;
        assert!(accuracy > 0.95, "{tuning:?}: {accuracy}");
    }
}

#[test]
fn only_what_should_learn_moves() {
    let original = ingrain_lm::HfWeights::open(&crate::fixture::path("bert")).unwrap();
    let moved = |tuning: Tuning, name: &str, shape: &[usize]| {
        let dir = tempfile::tempdir().unwrap();
        undisturbed(tuning).classifier.save(dir.path()).unwrap();
        let saved = ingrain_lm::HfWeights::open(dir.path()).unwrap();
        saved.tensor(name, shape).unwrap() != original.tensor(name, shape).unwrap()
    };
    let words = ("embeddings.word_embeddings.weight", [120, 32]);
    let block = ("encoder.layer.0.attention.self.key.weight", [32, 32]);
    for (tuning, words_move, blocks_move) in
        [(Tuning::Head, false, false), (Tuning::Blocks, false, true), (Tuning::Full, true, true)]
    {
        assert_eq!(moved(tuning, words.0, &words.1), words_move, "{tuning:?}");
        assert_eq!(moved(tuning, block.0, &block.1), blocks_move, "{tuning:?}");
    }
}

/// Asks to stop after a step.
struct StopAfter(u64, Interrupt);

impl Observer for StopAfter {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Step { step, .. } if *step == self.0) {
            self.1.request();
        }
    }
}

#[test]
fn a_resumed_run_gives_the_classifier_of_an_uninterrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(Tuning::Full);
    let interrupt = Interrupt::new();
    let stopped = train(&config, dir.path(), &StopAfter(5, interrupt.clone()), &interrupt);
    let error = stopped.err().unwrap();
    assert!(
        matches!(error, ClassifierError::Train(TrainError::Interrupted { done: 5, .. })),
        "{error}"
    );
    let resumed = train(&config, dir.path(), &Silent, &Interrupt::new()).unwrap();
    assert_eq!(resumed.logits, undisturbed(Tuning::Full).logits);
}

#[test]
fn a_temperature_makes_unsure_and_changes_no_prediction() {
    let outcome = undisturbed(Tuning::Head);
    let replies = ["that cat and the mat that", "the hat said the storm"];
    let sharp = outcome.classifier.predict(&replies).unwrap();
    let soft = outcome.classifier.with_temperature(5.0).predict(&replies).unwrap();
    for (sharp, soft) in sharp.iter().zip(&soft) {
        assert_eq!(sharp.label, soft.label);
        assert!(sharp.probability > soft.probability);
        assert!((soft.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
