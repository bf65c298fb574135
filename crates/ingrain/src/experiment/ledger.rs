//! What is finished, and what it took.

use std::borrow::Cow;
use std::path::Path;

use ingrain_run::{JsonlStore, Keyed};
use serde::{Deserialize, Serialize};

use crate::PipelineError;

/// A finished piece of work, as a line of `done.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unit {
    pub(super) key: String,
    /// Of the process that finished it, or that was asked to stop in the middle of it; what one spent that was
    /// killed outright is not counted.
    pub(super) seconds: f64,
}

impl Keyed for Unit {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

pub(super) struct Ledger(JsonlStore<Unit>);

impl Ledger {
    pub(super) fn open(results: &Path) -> Result<Self, PipelineError> {
        Ok(Self(JsonlStore::open(results.join("done.jsonl"))?))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// Writes down that something is done.
    pub(super) fn unit_of(&mut self, key: &str, seconds: f64) -> Result<(), PipelineError> {
        let seconds = (seconds * 10.0).round() / 10.0;
        self.0.append(&Unit { key: key.to_owned(), seconds })?;
        Ok(self.0.sync()?)
    }

    /// Writes down what a piece of work took that was stopped in the middle; it is not done.
    pub(super) fn stopped(&mut self, key: &str, seconds: f64) -> Result<(), PipelineError> {
        self.unit_of(&format!("{key} (stopped {})", super::now()), seconds)
    }

    /// Hours by the first word of the key.
    pub(super) fn hours(&self) -> Result<Vec<(String, f64)>, PipelineError> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for unit in self.0.iter() {
            let unit = unit?;
            let word = unit.key.split('/').next().unwrap_or_default();
            let hours = unit.seconds / 3600.0;
            match sums.iter_mut().find(|(name, _)| name == word) {
                Some((_, sum)) => *sum += hours,
                None => sums.push((word.to_owned(), hours)),
            }
        }
        Ok(sums)
    }
}
