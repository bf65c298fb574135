//! `train.jsonl`: one line a step, in the order of the steps, without repetition.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ingrain_run::write_atomic;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// One line of `train.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Number of the step, counted from 1.
    pub step: u64,
    /// Epoch of the step, counted from 1.
    pub epoch: u64,
    /// Tokens seen so far, padding not counted.
    pub tokens: u64,
    /// Loss, learning rate, gradient norm, ... by name.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, f64>,
}

/// The open log.
#[derive(Debug)]
pub(crate) struct StepLog {
    path: PathBuf,
    file: File,
}

impl StepLog {
    /// Opens the log of a run that continues after `step`: later lines, written by a process that
    /// was killed before its next checkpoint, and a torn last line are dropped.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self, TrainError> {
        let earlier = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::io(path, "read")(error)),
        };
        let keep = |line: &&str| {
            serde_json::from_str::<StepRecord>(line).is_ok_and(|record| record.step <= step)
        };
        let kept: String = earlier.lines().filter(keep).flat_map(|line| [line, "\n"]).collect();
        if kept != earlier {
            write_atomic(path, kept.as_bytes())?;
        }
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(TrainError::io(path, "open"))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends one line.
    pub(crate) fn append(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let mut line = serde_json::to_vec(record)
            .map_err(|error| TrainError::io(&self.path, "write")(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(TrainError::io(&self.path, "write"))
    }
}
