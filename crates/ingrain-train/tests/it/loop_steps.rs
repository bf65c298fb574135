//! What one step does, and what stops the loop.

use std::sync::{Arc, Mutex};

use ingrain_run::{Event, Interrupt, Silent};
use ingrain_train::{EvaluationConfig, TrainConfig, TrainError, TrainRun, fit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use crate::toy::{Distance, Named, Recorder, config, train, undisturbed};

#[test]
fn micro_batches_do_not_change_the_result() {
    let whole = undisturbed(&TrainConfig { micro_batch_tokens: 10_000, ..config() });
    let single = undisturbed(&TrainConfig { micro_batch_tokens: 1, ..config() });
    let distance = whole.parameters.distance(&single.parameters);
    assert!(distance < 2e-6, "{distance}");
    assert!((whole.last["loss"] - single.last["loss"]).abs() < 1e-6);
    assert!((whole.last["grad_norm"] - single.last["grad_norm"]).abs() < 1e-5);
}

#[test]
fn passes_side_by_side_give_the_same_bits_as_one_after_the_other() {
    let one = undisturbed(&config());
    for parallel_passes in [2, 3] {
        let many = undisturbed(&TrainConfig { parallel_passes, ..config() });
        assert_eq!(many.parameters.bits(), one.parameters.bits());
    }
}

#[test]
fn the_loss_falls_and_every_step_is_reported() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let many = TrainConfig { epochs: 30, ..config() };
    let trained = train(dir.path(), &Distance::default(), &many, &recorder).expect("trains");
    let losses = recorder.metric("loss");
    assert_eq!(losses.len(), 90);
    assert!(losses[87..].iter().sum::<f64>() < 0.8 * losses[..3].iter().sum::<f64>());
    assert_eq!(trained.tokens, 30 * 10 * 5);
    for key in ["loss", "learning_rate", "grad_norm", "tokens_per_sec", "mean_index"] {
        assert!(trained.last.contains_key(key), "no {key}");
    }
    let events = recorder.events.lock().expect("not poisoned");
    assert!(matches!(&events[0], Event::StageStarted { total: Some(90), .. }));
    assert!(matches!(events.last(), Some(Event::StageFinished { done: 90, reused: false, .. })));
}

#[test]
fn clipping_limits_the_step_but_reports_the_norm_before_it() {
    // AdamW's steps do not depend on the scale of all gradients, so a constant clip factor
    // changes nothing; a limit that only some gradients exceed does.
    let loose = undisturbed(&TrainConfig { max_grad_norm: 1e9, ..config() });
    let tight = undisturbed(&TrainConfig { max_grad_norm: 2.5, ..config() });
    assert!(loose.parameters.distance(&tight.parameters) > 1e-6);
    assert!(tight.last["grad_norm"] > 2.5, "{:?}", tight.last);
}

#[test]
fn a_loss_that_is_not_a_number_stops_with_step_examples_and_advice() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let poisoned = Distance { poisoned: Some(6), ..Distance::default() };
    let error = train(dir.path(), &poisoned, &config(), &Recorder::default()).expect_err("NaN");
    let TrainError::NotFinite { what: "loss", step, saved_step, ref examples, .. } = error else {
        panic!("{error}");
    };
    assert!((1..=3).contains(&step), "each epoch has three steps and the example is in one");
    assert!(saved_step < step);
    assert!(examples.contains("pair-6"), "{examples}");
    assert!(error.to_string().contains("lower `learning_rate`"), "{error}");
}

#[test]
fn an_exploding_loss_stops_before_the_weights_move() {
    let dir = tempfile::tempdir().expect("temporary directory");
    // 7 passes of up to two examples a step; from the second epoch on one example costs a thousandfold.
    let exploding = Distance { exploding: Some((6, 12)), ..Distance::default() };
    let error = train(dir.path(), &exploding, &config(), &Recorder::default()).expect_err("bang");
    let TrainError::Exploding { loss, usual, step, ref examples, .. } = error else {
        panic!("{error}");
    };
    assert!(loss > 20.0 * usual && step > 3, "{loss} {usual} {step}");
    assert!(examples.contains("pair-6"), "{examples}");
    let message = error.to_string();
    assert!(message.contains("lower `learning_rate`"), "{message}");
    // Without the example the run goes on from the last saved step and ends.
    let resumed = train(dir.path(), &Distance::default(), &config(), &Recorder::default());
    assert_eq!(resumed.expect("ends").parameters.bits(), undisturbed(&config()).parameters.bits());

    let dir = tempfile::tempdir().expect("temporary directory");
    let exploding = Distance { exploding: Some((6, 12)), ..Distance::default() };
    let unchecked = TrainConfig { explosion_factor: None, ..config() };
    train(dir.path(), &exploding, &unchecked, &Recorder::default()).expect("goes on regardless");
}

#[test]
fn a_cost_may_depend_on_its_whole_batch_and_on_those_before() {
    let objective = || Distance { depends_on_batch: true, ..Distance::default() };
    let run = |config: &TrainConfig| {
        let dir = tempfile::tempdir().expect("temporary directory");
        let recorder = Recorder::default();
        let trained = train(dir.path(), &objective(), config, &recorder).expect("trains");
        (trained, recorder.metric("carried"))
    };
    let whole = run(&TrainConfig { micro_batch_tokens: 10_000, ..config() });
    let single = run(&TrainConfig { micro_batch_tokens: 1, ..config() });
    for (a, b) in whole.1.iter().zip(&single.1) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    assert!(whole.0.parameters.distance(&single.0.parameters) < 2e-6);
    // What is carried is part of a checkpoint.
    let expected = run(&config());
    let dir = tempfile::tempdir().expect("temporary directory");
    for step in 1..9 {
        train(dir.path(), &objective(), &config(), &Recorder::stopping_after(step))
            .expect_err("interrupted");
    }
    let recorder = Recorder::default();
    let resumed = train(dir.path(), &objective(), &config(), &recorder).expect("ends");
    assert_eq!(resumed.parameters.bits(), expected.0.parameters.bits());
    assert_eq!(recorder.metric("carried").last(), expected.1.last());
}

#[test]
fn a_cost_that_forgets_the_parameters_is_an_error_not_a_panic() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let untracked = Distance { untracked: true, ..Distance::default() };
    let error = train(dir.path(), &untracked, &config(), &Recorder::default()).expect_err("lost");
    assert!(matches!(error, TrainError::Untracked { .. }), "{error}");
}

#[test]
fn nothing_to_train_on_is_an_error_that_names_the_stage() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let interrupt = Interrupt::new();
    let run = TrainRun {
        stage: "distillation",
        dir: dir.path(),
        resume: true,
        observer: &Silent,
        interrupt: &interrupt,
    };
    let error = fit(&Distance::default(), Vec::new(), Named::start(), &config(), &run);
    let message = error.expect_err("empty").to_string();
    assert!(message.starts_with("stage `distillation` has nothing to train on"), "{message}");
}

/// Names of the spans that were opened.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<&'static str>>>);

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ingrain_train")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut names = self.0.lock().expect("not poisoned");
        names.push(span.metadata().name());
        Id::from_u64(names.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn steps_passes_and_evaluations_are_spans() {
    let evaluation = EvaluationConfig { share: 0.3, every_steps: 2, ..Default::default() };
    let config = TrainConfig { evaluation, ..config() };
    // Places of spans that other tests come to first, while no one listens, are known before someone does:
    // one that registers at the moment in which a subscriber appears stays deaf to it.
    undisturbed(&config);
    let spans = Spans::default();
    tracing::subscriber::with_default(spans.clone(), || undisturbed(&config));
    let names = spans.0.lock().expect("not poisoned");
    let count = |name: &str| names.iter().filter(|found| **found == name).count();
    // Seven examples in steps of four, three times.
    assert_eq!((count("step"), count("evaluation")), (6, 3));
    assert!(count("pass") >= 6, "{names:?}");
}
