//! Held-out examples: measured, the best weights kept, training stopped when they no longer gain.

use ingrain_train::{EvaluationConfig, Keep, TrainConfig};

use crate::toy::{Distance, Recorder, config, train, undisturbed};

/// Seven examples train in steps of four, three are held out.
fn held_out(patience: u64, keep: Keep) -> TrainConfig {
    let evaluation = EvaluationConfig { share: 0.3, every_steps: 2, patience, keep };
    TrainConfig { epochs: 12, learning_rate: 0.3, evaluation, ..config() }
}

fn steps_with(recorder: &Recorder, metric: &str) -> Vec<(u64, f64)> {
    let events = recorder.events.lock().expect("not poisoned");
    let found = |event: &ingrain_run::Event| match event {
        ingrain_run::Event::Step { step, metrics, .. } => Some((*step, *metrics.get(metric)?)),
        _ => None,
    };
    events.iter().filter_map(found).collect()
}

#[test]
fn held_out_examples_are_measured_and_never_trained_on() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let config = held_out(0, Keep::Last);
    let trained = train(dir.path(), &Distance::default(), &config, &recorder).expect("trains");
    assert_eq!(trained.steps, 24, "two steps an epoch");
    assert_eq!(trained.tokens, 12 * 7 * 5);
    let evaluations = steps_with(&recorder, "eval_loss");
    let steps: Vec<u64> = evaluations.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, (1..=12).map(|i| 2 * i).collect::<Vec<u64>>());
    // The mean index of what is held out is the same each time, and that of an epoch's steps misses it.
    let indices = steps_with(&recorder, "eval_mean_index");
    assert!(indices.iter().all(|(_, mean)| *mean == indices[0].1));
    let best = trained.best.expect("evaluated");
    let lowest = evaluations.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    assert_eq!(best.loss, lowest);
}

#[test]
fn a_run_that_no_longer_gains_stops_and_stays_stopped() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let config = held_out(2, Keep::Last);
    let trained = train(dir.path(), &Distance::default(), &config, &recorder).expect("trains");
    let best = trained.best.expect("evaluated");
    assert_eq!(trained.steps, best.step + 4, "two evaluations later");
    assert!(trained.steps < 24);
    assert!(recorder.notes().iter().any(|note| note.contains("stopped early")));
    let objective = Distance::default();
    let again = train(dir.path(), &objective, &config, &Recorder::default()).expect("reused");
    assert_eq!(objective.calls.into_inner(), 0);
    assert_eq!(again.parameters.bits(), trained.parameters.bits());
}

#[test]
fn the_best_weights_are_those_of_a_run_that_ended_there() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = held_out(0, Keep::Best);
    let run = |recorder: &Recorder| train(dir.path(), &Distance::default(), &config, recorder);
    let kept = run(&Recorder::default()).expect("trains");
    let best = kept.best.expect("evaluated");
    assert!(best.step < 24, "the toy overfits");
    // Weights after the step of the best evaluation, from a run stopped there.
    let other = tempfile::tempdir().expect("temporary directory");
    let stopper = Recorder::stopping_after(best.step);
    train(other.path(), &Distance::default(), &config, &stopper).expect_err("interrupted");
    let name = format!("checkpoints/step-{:08}/adapter.safetensors", best.step);
    let stopped = std::fs::read(other.path().join(name)).expect("a checkpoint");
    let name = format!("checkpoints/best-{:08}/adapter.safetensors", best.step);
    assert_eq!(std::fs::read(dir.path().join(name)).expect("the best"), stopped);
    let last = undisturbed(&held_out(0, Keep::Last));
    assert_ne!(kept.parameters.bits(), last.parameters.bits());
    assert_eq!(
        run(&Recorder::default()).expect("reused").parameters.bits(),
        kept.parameters.bits()
    );
}

#[test]
fn a_run_interrupted_at_any_step_ends_with_the_same_best() {
    let config = held_out(3, Keep::Best);
    let expected = undisturbed(&config);
    let dir = tempfile::tempdir().expect("temporary directory");
    for step in 1..expected.steps {
        train(dir.path(), &Distance::default(), &config, &Recorder::stopping_after(step))
            .expect_err("interrupted");
    }
    let resumed =
        train(dir.path(), &Distance::default(), &config, &Recorder::default()).expect("ends");
    assert_eq!(resumed.parameters.bits(), expected.parameters.bits());
    assert_eq!((resumed.steps, resumed.best), (expected.steps, expected.best));
}

#[test]
fn a_run_killed_inside_any_pass_ends_with_the_same_best() {
    let config = TrainConfig { epochs: 3, ..held_out(0, Keep::Best) };
    let whole = Distance::default();
    let dir = tempfile::tempdir().expect("temporary directory");
    let expected = train(dir.path(), &whole, &config, &Recorder::default()).expect("trains");
    for calls in 0..whole.calls.into_inner() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let dying = Distance { fails_after: Some(calls), ..Distance::default() };
        train(dir.path(), &dying, &config, &Recorder::default()).expect_err("dies");
        let resumed =
            train(dir.path(), &Distance::default(), &config, &Recorder::default()).expect("ends");
        assert_eq!(resumed.parameters.bits(), expected.parameters.bits(), "after {calls} passes");
        assert_eq!(resumed.best, expected.best);
    }
}
