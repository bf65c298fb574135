//! What a run does with checkpoints that are damaged, half-written or somebody else's.

use std::fs;
use std::path::Path;

use ingrain_run::Interrupt;
use ingrain_train::{ExampleSize, TrainConfig, TrainError, TrainRun, fit};

use crate::toy::{Distance, EXAMPLES, Named, Recorder, config, train, undisturbed};

fn stopped_after(step: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    train(dir.path(), &Distance::default(), &config(), &Recorder::stopping_after(step))
        .expect_err("interrupted");
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("checkpoints")).expect("a directory");
    let name = |e: std::io::Result<fs::DirEntry>| e.expect("entry").file_name().into_string();
    let mut names: Vec<String> = entries.map(|e| name(e).expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn the_newest_two_are_kept_and_hold_what_their_names_say() {
    let dir = stopped_after(7);
    assert_eq!(names(dir.path()), ["step-00000006", "step-00000007"]);
    let mut files: Vec<String> = fs::read_dir(dir.path().join("checkpoints/step-00000007"))
        .expect("a directory")
        .map(|e| e.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect();
    files.sort();
    assert_eq!(files, ["adapter.safetensors", "optimizer.safetensors", "state.json"]);
}

#[test]
fn a_torn_file_sends_the_run_back_to_the_checkpoint_before_with_a_note() {
    let expected = undisturbed(&config());
    for file in ["adapter.safetensors", "optimizer.safetensors", "state.json"] {
        let dir = stopped_after(7);
        let path = dir.path().join("checkpoints/step-00000007").join(file);
        let bytes = fs::read(&path).expect("a file");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("writable");

        let recorder = Recorder::default();
        let resumed =
            train(dir.path(), &Distance::default(), &config(), &recorder).expect("goes on");
        assert_eq!(resumed.parameters.bits(), expected.parameters.bits());
        let notes = recorder.notes();
        assert!(notes[0].starts_with("passing over the checkpoint of step 7: "), "{notes:?}");
        assert_eq!(notes[1], "continuing after step 6");
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    let dir = stopped_after(7);
    let path = dir.path().join("checkpoints/step-00000007/adapter.safetensors");
    let mut bytes = fs::read(&path).expect("a file");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("writable");
    let recorder = Recorder::default();
    train(dir.path(), &Distance::default(), &config(), &recorder).expect("goes on");
    assert!(recorder.notes()[0].contains("size or digest differs"), "{:?}", recorder.notes());
}

#[test]
fn what_a_killed_write_left_behind_is_removed() {
    let dir = stopped_after(3);
    let part = dir.path().join("checkpoints/step-00000004.part");
    fs::create_dir_all(&part).expect("writable");
    fs::write(part.join("adapter.safetensors"), b"half").expect("writable");
    let resumed = train(dir.path(), &Distance::default(), &config(), &Recorder::default());
    assert_eq!(resumed.expect("ends").parameters.bits(), undisturbed(&config()).parameters.bits());
    assert!(!part.exists());
}

#[test]
fn a_checkpoint_of_other_settings_is_refused_with_a_way_out() {
    let dir = stopped_after(3);
    let message = |config: TrainConfig| {
        train(dir.path(), &Distance::default(), &config, &Recorder::default())
            .expect_err("another run's checkpoint")
            .to_string()
    };
    let other_rate = message(TrainConfig { learning_rate: 0.5, ..config() });
    assert!(other_rate.contains("step-00000003: this checkpoint was made with other training"));
    assert!(other_rate.contains("start over with resume off"));
    assert!(message(TrainConfig { seed: 9, ..config() }).contains("another seed"));
    assert!(message(TrainConfig { batch_size: 5, ..config() }).contains("other data or batch"));
}

#[test]
fn without_resume_the_run_starts_over() {
    let dir = stopped_after(3);
    let recorder = Recorder::default();
    let run = TrainRun {
        stage: "toy",
        dir: dir.path(),
        resume: false,
        observer: &recorder,
        interrupt: &Interrupt::new(),
    };
    let sizes = (0..EXAMPLES).map(|i| ExampleSize { rows: 2, width: 3 + i % 4 }).collect();
    let trained =
        fit(&Distance::default(), sizes, Named::start(), &config(), &run).expect("trains");
    assert_eq!(trained.parameters.bits(), undisturbed(&config()).parameters.bits());
    assert_eq!(recorder.metric("loss").len(), 9);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("run");
    fs::write(&file, b"in the way").expect("writable");
    let error = train(&file, &Distance::default(), &config(), &Recorder::default());
    let error = error.expect_err("a file is in the way");
    assert!(matches!(error, TrainError::Run(_)));
    assert!(error.to_string().contains("run/checkpoints: cannot create"), "{error}");
}
