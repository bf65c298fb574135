//! What changed between two runs over the same prompts.

use serde::{Deserialize, Serialize};

use super::bootstrap::{failures, refit};
use super::{BradleyTerry, Comparisons};
use crate::error::same_length;
use crate::{Bootstrap, Interval, SimultaneousIntervals, StatsError, benjamini_hochberg, normal};

/// How the rating of one item moved, in points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Index of the item.
    pub item: usize,
    /// Rating in the first run.
    pub before: f64,
    /// Rating in the second run.
    pub after: f64,
    /// `after - before`, with an interval that covers *all* items at once.
    pub simultaneous: Interval,
    /// Standard error of the shift.
    pub standard_error: f64,
    /// Two-sided p-value of this item alone (normal, with the bootstrap's standard error).
    pub p_value: f64,
    /// p-value that controls the family-wise error rate over all items (step-down max-|t|).
    pub family_p_value: f64,
    /// p-value that controls the false discovery rate over all items (Benjamini-Hochberg).
    pub q_value: f64,
}

impl Shift {
    /// `after - before`.
    #[must_use]
    pub fn points(&self) -> f64 {
        self.simultaneous.estimate
    }
}

/// The shifts of all items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShiftReport {
    /// One an item.
    pub shifts: Vec<Shift>,
    /// How many standard errors a simultaneous interval reaches to either side.
    pub critical: f64,
    /// Resamples without a finite estimate, left out.
    pub failed: usize,
}

/// Compares two runs that answered the same prompts: items and clusters mean the same in both.
///
/// Each resample draws prompts and refits both runs on them, so that what a prompt does to both
/// cancels.
///
/// # Errors
/// [`StatsError::Lengths`] where items or clusters differ in number; otherwise as
/// [`bootstrap_ratings`](crate::bootstrap_ratings).
pub fn rating_shifts(
    model: &BradleyTerry,
    before: &Comparisons,
    after: &Comparisons,
    bootstrap: &Bootstrap,
) -> Result<ShiftReport, StatsError> {
    same_length("items of two runs", before.items(), after.items())?;
    same_length("clusters of two runs", before.clusters(), after.clusters())?;
    let (first, first_solution) = model.solve(before)?;
    let (second, second_solution) = model.solve(after)?;
    let (first_model, second_model) = (model.likelihood(before), model.likelihood(after));
    let rows = bootstrap.replicates(before.clusters(), |draw| {
        let first = refit(&first_model, before, draw, &first_solution)?;
        let second = refit(&second_model, after, draw, &second_solution)?;
        Some(difference(&second, &first))
    })?;
    let failed = failures(&rows)?;
    let replicates: Vec<Vec<f64>> = rows.into_iter().flatten().collect();
    let deltas = difference(&second.points, &first.points);
    let family = SimultaneousIntervals::new(&deltas, &replicates, bootstrap.confidence)?;
    let p_values: Vec<f64> = deltas
        .iter()
        .zip(&family.standard_errors)
        .map(|(delta, error)| normal::two_sided_p(delta / error))
        .collect();
    let q_values = benjamini_hochberg(&p_values)?;
    let shifts = (0..deltas.len())
        .map(|item| Shift {
            item,
            before: first.points[item],
            after: second.points[item],
            simultaneous: family.intervals[item],
            standard_error: family.standard_errors[item],
            p_value: p_values[item],
            family_p_value: family.p_values[item],
            q_value: q_values[item],
        })
        .collect();
    Ok(ShiftReport { shifts, critical: family.critical, failed })
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
