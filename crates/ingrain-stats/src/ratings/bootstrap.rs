//! Ratings of resampled prompts.

use super::bradley_terry::centred_points;
use super::comparisons::Comparisons;
use super::model::Likelihood;
use super::solver::Solution;
use super::{BradleyTerry, Ratings};
use crate::{Bootstrap, Interval, StatsError};

/// Share of resamples that may have no finite estimate before the whole bootstrap is refused.
const MAX_FAILED: f64 = 0.01;

/// Ratings with their bootstrap distribution.
#[derive(Clone, Debug)]
pub struct RatingSample {
    /// Ratings of all comparisons.
    pub ratings: Ratings,
    /// Points of every item, one row a resample; `None` where it has no finite estimate, which is so
    /// of at most 1 %. Rows of two samples belong together where both resampled the same clusters with
    /// the same seed.
    pub replicates: Vec<Option<Vec<f64>>>,
    confidence: f64,
}

impl RatingSample {
    /// Percentile interval of each rating, in points.
    ///
    /// # Errors
    /// [`StatsError::OutOfRange`] for a confidence outside 0..1.
    pub fn intervals(&self) -> Result<Vec<Interval>, StatsError> {
        let points = self.ratings.points.iter().enumerate();
        points
            .map(|(item, &estimate)| {
                let rows = self.replicates.iter().flatten();
                let column = rows.map(|row| row[item]).collect();
                crate::bootstrap::percentile_interval(estimate, column, self.confidence)
            })
            .collect()
    }
}

/// Fits the ratings, and again for each resample of the clusters.
///
/// # Errors
/// As [`BradleyTerry::fit`]; [`StatsError::Replicates`] where more than 1 % of the resamples have no
/// finite estimate.
pub fn bootstrap_ratings(
    model: &BradleyTerry,
    comparisons: &Comparisons,
    bootstrap: &Bootstrap,
) -> Result<RatingSample, StatsError> {
    let (ratings, solution) = model.solve(comparisons)?;
    let likelihood = model.likelihood(comparisons);
    let replicates = bootstrap.replicates(comparisons.clusters(), |draw| {
        refit(&likelihood, comparisons, draw, &solution)
    })?;
    failures(&replicates)?;
    Ok(RatingSample { ratings, replicates, confidence: bootstrap.confidence })
}

/// Points of one resample; `None` where it has no finite estimate.
pub(super) fn refit(
    likelihood: &Likelihood<'_>,
    comparisons: &Comparisons,
    draw: &[usize],
    start: &Solution,
) -> Option<Vec<f64>> {
    let counts = comparisons.counts_of(draw.iter().copied());
    likelihood.check(&counts).ok()?;
    let solution = likelihood.maximise(&counts, start).ok()?;
    Some(centred_points(&solution.parameters[..likelihood.items]))
}

/// Counts resamples without an estimate; an error if there are too many.
pub(super) fn failures(rows: &[Option<Vec<f64>>]) -> Result<usize, StatsError> {
    let (failed, replicates) = (rows.iter().filter(|row| row.is_none()).count(), rows.len());
    if failed as f64 > MAX_FAILED * replicates as f64 {
        return Err(StatsError::Replicates { failed, replicates });
    }
    Ok(failed)
}
