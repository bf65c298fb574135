//! A resumed run equals an uninterrupted one, bit for bit.

use ingrain_train::{StepRecord, TrainConfig, TrainError};

use crate::toy::{Distance, Recorder, config, train, undisturbed};

const STEPS: u64 = 9;

fn logged_steps(dir: &std::path::Path) -> Vec<u64> {
    let text = std::fs::read_to_string(dir.join("train.jsonl")).expect("a log");
    text.lines()
        .map(|line| serde_json::from_str::<StepRecord>(line).expect("a record").step)
        .collect()
}

#[test]
fn a_run_interrupted_at_any_step_equals_an_uninterrupted_one() {
    let expected = undisturbed(&config());
    assert_eq!(expected.steps, STEPS);
    for step in 1..STEPS {
        let dir = tempfile::tempdir().expect("temporary directory");
        let stopper = Recorder::stopping_after(step);
        let error =
            train(dir.path(), &Distance::default(), &config(), &stopper).expect_err("interrupted");
        assert!(
            matches!(error, TrainError::Interrupted { done, total: STEPS, .. } if done == step)
        );

        let recorder = Recorder::default();
        let resumed =
            train(dir.path(), &Distance::default(), &config(), &recorder).expect("goes on");
        assert_eq!(resumed.parameters.bits(), expected.parameters.bits(), "stopped after {step}");
        assert_eq!(resumed.tokens, expected.tokens);
        assert_eq!(recorder.metric("loss").len() as u64, STEPS - step, "no step is repeated");
        assert_eq!(logged_steps(dir.path()), (1..=STEPS).collect::<Vec<_>>());
    }
}

#[test]
fn a_run_interrupted_after_every_step_equals_an_uninterrupted_one() {
    let expected = undisturbed(&config());
    let dir = tempfile::tempdir().expect("temporary directory");
    for step in 1..STEPS {
        train(dir.path(), &Distance::default(), &config(), &Recorder::stopping_after(step))
            .expect_err("interrupted");
    }
    let resumed =
        train(dir.path(), &Distance::default(), &config(), &Recorder::default()).expect("ends");
    assert_eq!(resumed.parameters.bits(), expected.parameters.bits());
}

#[test]
fn a_run_killed_inside_any_forward_pass_equals_an_uninterrupted_one() {
    let expected = undisturbed(&config());
    let whole = Distance::default();
    let dir = tempfile::tempdir().expect("temporary directory");
    train(dir.path(), &whole, &config(), &Recorder::default()).expect("trains");
    for calls in 0..whole.calls.into_inner() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let dying = Distance { fails_after: Some(calls), ..Distance::default() };
        let error = train(dir.path(), &dying, &config(), &Recorder::default()).expect_err("dies");
        assert_eq!(error.to_string(), "the power went out");
        let resumed =
            train(dir.path(), &Distance::default(), &config(), &Recorder::default()).expect("ends");
        assert_eq!(resumed.parameters.bits(), expected.parameters.bits(), "after {calls} passes");
        assert_eq!(logged_steps(dir.path()), (1..=STEPS).collect::<Vec<_>>());
    }
}

#[test]
fn a_finished_run_is_not_run_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let first = train(dir.path(), &Distance::default(), &config(), &Recorder::default());
    let objective = Distance::default();
    let again = train(dir.path(), &objective, &config(), &Recorder::default()).expect("reused");
    assert_eq!(objective.calls.into_inner(), 0);
    assert_eq!(again.parameters.bits(), first.expect("trains").parameters.bits());
    assert!(again.last.is_empty());
}

#[test]
fn how_often_to_save_may_change_between_runs() {
    let expected = undisturbed(&config());
    let dir = tempfile::tempdir().expect("temporary directory");
    train(dir.path(), &Distance::default(), &config(), &Recorder::stopping_after(3))
        .expect_err("interrupted");
    let rarely = TrainConfig { checkpoint_every_steps: 100, ..config() };
    let resumed =
        train(dir.path(), &Distance::default(), &rarely, &Recorder::default()).expect("ends");
    assert_eq!(resumed.parameters.bits(), expected.parameters.bits());
}
