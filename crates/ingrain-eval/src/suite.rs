//! The seam: an evaluation that runs and reports.

use std::path::Path;

use ingrain_judge::Judge;
use ingrain_run::{Interrupt, Observer, SuiteReport};

use crate::EvalError;

/// Where and how a suite runs.
#[derive(Clone)]
pub struct SuiteRun<'a> {
    /// Directory of its own, for raw replies and verdicts. What is there already is used again.
    pub dir: &'a Path,
    /// Seed of the run.
    pub seed: u64,
    /// Requests in one call of a model.
    pub batch_size: usize,
    /// Told about progress.
    pub observer: &'a dyn Observer,
    /// Looked at between batches.
    pub interrupt: &'a Interrupt,
}

/// An evaluation.
///
/// Killed and started again in the same directory, it goes on where it stopped.
pub trait Suite {
    /// Runs it to the end.
    ///
    /// # Errors
    /// Whatever stops it; work done so far is kept.
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError>;
}

/// A judge and what it is called in reports: its model, or model and rubric.
#[derive(Clone, Copy)]
pub struct NamedJudge<'a> {
    /// The name.
    pub name: &'a str,
    /// The judge, with the rubric of the suite.
    pub judge: &'a dyn Judge,
}
