//! What a run tells of its steps: `train.jsonl` (one line a step, in the order of the steps, without
//! repetition) and events.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ingrain_run::{Event, write_atomic};
use serde::{Deserialize, Serialize};

use crate::{TrainError, TrainRun};

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

/// Log and observer of one process of a run.
pub(crate) struct Journal<'a> {
    run: &'a TrainRun<'a>,
    log: StepLog,
    total: u64,
    started: Instant,
    first_step: u64,
    first_tokens: u64,
    last: BTreeMap<String, f64>,
}

impl<'a> Journal<'a> {
    /// Opens the log of a run that continues after `step`, and says that it begins.
    pub(crate) fn open(
        run: &'a TrainRun<'a>,
        step: u64,
        tokens: u64,
        total: u64,
    ) -> Result<Self, TrainError> {
        let log = StepLog::open(&run.dir.join("train.jsonl"), step)?;
        let (stage, unit) = (run.stage.to_owned(), "steps".to_owned());
        run.observer.on_event(&Event::StageStarted { stage, total: Some(total), unit });
        let (started, last) = (Instant::now(), BTreeMap::new());
        Ok(Self { run, log, total, started, first_step: step, first_tokens: tokens, last })
    }

    /// Writes a step down and tells the observer.
    pub(crate) fn step(
        &mut self,
        step: u64,
        epoch: u64,
        tokens: u64,
        metrics: BTreeMap<String, f64>,
    ) -> Result<(), TrainError> {
        self.last.clone_from(&metrics);
        self.log.append(&StepRecord { step, epoch, tokens, metrics: metrics.clone() })?;
        let (stage, total) = (self.run.stage.to_owned(), self.total);
        self.run.observer.on_event(&Event::Step { stage, step, total, metrics });
        Ok(())
    }

    /// Says that the run is over, and returns the metrics of the last step.
    pub(crate) fn finish(
        self,
        step: u64,
        tokens: u64,
        stopped_early: bool,
    ) -> BTreeMap<String, f64> {
        let stage = self.run.stage.to_owned();
        if stopped_early && step > self.first_step {
            let message = format!(
                "stopped early after step {step} of {}: the loss on held-out examples no longer falls",
                self.total
            );
            self.run.observer.on_event(&Event::Note { stage: stage.clone(), message });
        }
        self.run.observer.on_event(&Event::StageFinished {
            stage,
            done: step,
            tokens: tokens - self.first_tokens,
            seconds: self.started.elapsed().as_secs_f64(),
            reused: self.first_step == step,
        });
        self.last
    }
}
