//! The cache of the reference's log-probabilities.

use std::fs;
use std::path::{Path, PathBuf};

use ingrain_dpo::{DpoError, ReferenceLogps, ReferencePass, TokenizedPair};
use ingrain_lm::TokenBatch;
use ingrain_run::Event;
use ingrain_train::{TrainConfig, TrainError};

use crate::fixtures::{Recorder, made_up_pairs, model};

const BUDGET: usize = 40;

fn compute(dir: &Path, recorder: &Recorder) -> Result<Vec<ReferenceLogps>, DpoError> {
    score("tiny", &made_up_pairs(9), None, dir, recorder)
}

fn score(
    base: &str,
    pairs: &[TokenizedPair],
    shared: Option<&Path>,
    dir: &Path,
    recorder: &Recorder,
) -> Result<Vec<ReferenceLogps>, DpoError> {
    let (model, training) = (model(), training());
    let examples: Vec<_> = pairs.iter().map(TokenizedPair::sequences).collect();
    let pass =
        ReferencePass { model: &model, base, examples: &examples, training: &training, shared };
    pass.logps(&recorder.run(dir))
}

fn cache(dir: &Path) -> PathBuf {
    let mut files = fs::read_dir(dir).expect("a directory").map(|f| f.expect("entry").path());
    files.find(|f| f.extension().is_some_and(|e| e == "jsonl")).expect("a cache")
}

fn reused(recorder: &Recorder) -> bool {
    let events = recorder.events.lock().expect("not poisoned");
    matches!(events.last(), Some(Event::StageFinished { reused: true, tokens: 0, .. }))
}

#[test]
fn every_pair_gets_the_values_that_the_model_gives_it_alone() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (model, pairs) = (model(), made_up_pairs(9));
    let logps = compute(dir.path(), &Recorder::default()).expect("scores");
    assert_eq!(logps.len(), 9);
    for (pair, logps) in pairs.iter().zip(&logps) {
        assert_eq!(logps.rows.len(), 2);
        for (sequence, found) in [&pair.chosen, &pair.rejected].into_iter().zip(&logps.rows) {
            let batch = TokenBatch::new(&[sequence], model.device());
            let alone = model.completion_logprobs(&batch, None).to_data();
            let alone: Vec<f32> = alone.try_to_vec().expect("f32");
            assert_eq!(found.len(), alone.len());
            for (a, b) in found.iter().zip(&alone) {
                assert!((a - b).abs() < 1e-5, "{}: {a} and {b}", pair.id);
            }
        }
    }
}

#[test]
fn a_second_run_reads_the_same_values_back() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let first = compute(dir.path(), &Recorder::default()).expect("scores");
    let recorder = Recorder::default();
    assert_eq!(compute(dir.path(), &recorder).expect("reads"), first);
    assert!(reused(&recorder));
}

#[test]
fn a_pass_that_is_stopped_goes_on_to_the_same_values() {
    let whole = tempfile::tempdir().expect("temporary directory");
    let expected = compute(whole.path(), &Recorder::default()).expect("scores");
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut stops = 0;
    let logps = loop {
        let stopper = Recorder { stop_at_progress: true, ..Recorder::default() };
        match compute(dir.path(), &stopper) {
            Ok(logps) => break logps,
            Err(DpoError::Train(TrainError::Interrupted { done, total: 9, unit, .. })) => {
                assert_eq!(unit, "reference examples");
                assert!(done < 9);
                stops += 1;
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert!(stops > 1, "{stops}");
    assert_eq!(logps, expected);
}

#[test]
fn a_cache_torn_at_any_place_is_completed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let expected = compute(dir.path(), &Recorder::default()).expect("scores");
    let path = cache(dir.path());
    let bytes = fs::read(&path).expect("a cache");
    for end in [0, 1, bytes.len() / 3, bytes.len() - 1] {
        fs::write(&path, &bytes[..end]).expect("writable");
        assert_eq!(compute(dir.path(), &Recorder::default()).expect("completes"), expected);
    }
}

#[test]
fn a_damaged_cache_is_computed_again_with_a_note() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let expected = compute(dir.path(), &Recorder::default()).expect("scores");
    let path = cache(dir.path());
    let text = fs::read_to_string(&path).expect("a cache");
    let lines: Vec<&str> = text.lines().collect();
    let garbled = text.replace(lines[1], "{\"example\": 1, garbage");
    let shortened = text.replacen("[[", "[[-0.5,", 1);
    for damage in [garbled, shortened] {
        fs::write(&path, damage).expect("writable");
        let recorder = Recorder::default();
        assert_eq!(compute(dir.path(), &recorder).expect("recomputes"), expected);
        let notes = recorder.notes();
        assert!(notes.len() == 1 && notes[0].contains("computing it again"), "{notes:?}");
    }
}

#[test]
fn another_model_or_other_data_get_a_cache_of_their_own() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let mut pairs = made_up_pairs(2);
    for base in ["tiny", "other"] {
        score(base, &pairs, None, dir.path(), &recorder).expect("scores");
    }
    pairs[1].rejected.completion[3] = !pairs[1].rejected.completion[3];
    score("tiny", &pairs, None, dir.path(), &recorder).expect("scores");
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 3);
}

#[test]
fn a_shared_folder_saves_another_run_the_pass() {
    let shared = tempfile::tempdir().expect("temporary directory");
    let pairs = made_up_pairs(9);
    let run = |recorder: &Recorder| {
        let dir = tempfile::tempdir().expect("temporary directory");
        score("tiny", &pairs, Some(shared.path()), dir.path(), recorder).expect("scores")
    };
    let first = run(&Recorder::default());
    let recorder = Recorder::default();
    assert_eq!(run(&recorder), first);
    assert!(reused(&recorder));
    // A damaged file in the shared folder costs the pass and is replaced.
    let file = cache(shared.path());
    fs::write(&file, "{").expect("writable");
    let recorder = Recorder::default();
    assert_eq!(run(&recorder), first);
    assert!(!reused(&recorder));
    let recorder = Recorder::default();
    assert_eq!(run(&recorder), first);
    assert!(reused(&recorder));
}

fn training() -> TrainConfig {
    TrainConfig { micro_batch_tokens: BUDGET, ..TrainConfig::default() }
}
