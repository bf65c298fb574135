//! Intervals that cover many estimates at once.

use crate::Interval;
use crate::error::{StatsError, same_length, share};

/// Intervals for a family of estimates, such that all of them cover with the stated confidence.
///
/// Half widths are a common multiple of each estimate's bootstrap standard error: the quantile of the
/// largest |t| of a resample. It uses the correlation of the estimates, which Bonferroni ignores.
#[derive(Clone, Debug, PartialEq)]
pub struct SimultaneousIntervals {
    /// One an estimate.
    pub intervals: Vec<Interval>,
    /// Bootstrap standard error of each estimate.
    pub standard_errors: Vec<f64>,
    /// The common multiple.
    pub critical: f64,
    /// p-values of "this estimate is 0" that control the family-wise error rate (step-down).
    pub p_values: Vec<f64>,
}

impl SimultaneousIntervals {
    /// From the estimates and their resamples, one row a resample.
    ///
    /// Deviations are taken from the mean of the resamples, so that a bias which all resamples share
    /// does not widen the intervals. The level is checked with 500 resamples; standard errors from
    /// few resamples are noisy themselves.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] below two resamples; [`StatsError::Lengths`] for a row of another
    /// length; [`StatsError::Undefined`] for an estimate that does not vary.
    ///
    /// # Source
    /// Romano and Wolf 2005, algorithm 3 (step-down), with studentised statistics.
    pub fn new(
        estimates: &[f64],
        replicates: &[Vec<f64>],
        confidence: f64,
    ) -> Result<Self, StatsError> {
        share("confidence", confidence)?;
        let (what, unit) = ("a simultaneous interval", "resamples");
        if replicates.len() < 2 {
            return Err(StatsError::TooFew { what, unit, needed: 2, found: replicates.len() });
        }
        for row in replicates {
            same_length(what, estimates.len(), row.len())?;
        }
        let (means, standard_errors) = moments(replicates, estimates.len());
        // Rounding leaves a constant a standard error of its own.
        let never_varies = |j: usize| replicates.iter().all(|row| row[j] == replicates[0][j]);
        let unusable = |error: f64| error.is_nan() || error <= 0.0;
        if (0..estimates.len()).any(|j| unusable(standard_errors[j]) || never_varies(j)) {
            return Err(StatsError::Undefined { what, reason: "an estimate never varies" });
        }
        let t_rows: Vec<Vec<f64>> = replicates
            .iter()
            .map(|row| {
                let centred = row.iter().zip(&means);
                centred.zip(&standard_errors).map(|((x, m), se)| ((x - m) / se).abs()).collect()
            })
            .collect();
        let mut largest: Vec<f64> =
            t_rows.iter().map(|row| row.iter().copied().fold(0.0, f64::max)).collect();
        largest.sort_unstable_by(f64::total_cmp);
        // Of B resamples the value is taken that B + 1 would give: never too small.
        let rank = (confidence * (largest.len() + 1) as f64).ceil() as usize;
        let critical = largest[rank.clamp(1, largest.len()) - 1];
        let intervals = estimates
            .iter()
            .zip(&standard_errors)
            .map(|(&estimate, error)| Interval {
                estimate,
                low: estimate - critical * error,
                high: estimate + critical * error,
                confidence,
            })
            .collect();
        let observed: Vec<f64> =
            estimates.iter().zip(&standard_errors).map(|(e, se)| (e / se).abs()).collect();
        let p_values = step_down(&observed, &t_rows);
        Ok(Self { intervals, standard_errors, critical, p_values })
    }
}

/// Mean and standard deviation of each column.
fn moments(rows: &[Vec<f64>], columns: usize) -> (Vec<f64>, Vec<f64>) {
    let n = rows.len() as f64;
    let column = |j: usize| {
        let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
        let squares = rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>();
        (mean, (squares / (n - 1.0)).sqrt())
    };
    (0..columns).map(column).unzip()
}

/// For the k-th largest statistic: how often the largest among it and all smaller ones is as large.
fn step_down(observed: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..observed.len()).collect();
    order.sort_by(|&a, &b| observed[a].total_cmp(&observed[b]));
    let mut exceeding = vec![0_usize; observed.len()];
    for row in rows {
        let mut largest = 0.0_f64;
        for &k in &order {
            largest = largest.max(row[k]);
            exceeding[k] += usize::from(largest >= observed[k]);
        }
    }
    let mut p_values = vec![0.0; observed.len()];
    let mut so_far = 0.0_f64;
    for &k in order.iter().rev() {
        so_far = so_far.max((exceeding[k] + 1) as f64 / (rows.len() + 1) as f64);
        p_values[k] = so_far;
    }
    p_values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    fn independent(columns: usize, rows: usize) -> Vec<Vec<f64>> {
        let row = |r| {
            let mut stream = Stream::new(11, r);
            (0..columns).map(|_| stream.normal()).collect()
        };
        (0..rows as u64).map(row).collect()
    }

    #[test]
    fn independent_estimates_need_the_critical_value_of_sidak() {
        // The 0.95^(1/10) two-sided quantile: 2.7996.
        let family = SimultaneousIntervals::new(&[0.0; 10], &independent(10, 20_000), 0.95);
        assert!((family.expect("defined").critical - 2.80).abs() < 0.04);
    }

    #[test]
    fn equal_estimates_need_no_correction() {
        let one = independent(1, 20_000);
        let copied: Vec<Vec<f64>> = one.iter().map(|row| vec![row[0]; 10]).collect();
        let family = SimultaneousIntervals::new(&[0.0; 10], &copied, 0.95).expect("defined");
        assert!((family.critical - 1.96).abs() < 0.04);
    }

    #[test]
    fn an_estimate_that_never_varies_has_no_interval() {
        // The mean of 0.1, fifty times, is not quite 0.1.
        for constant in [0.0, 0.1] {
            let rows: Vec<Vec<f64>> = (0..50).map(|r| vec![constant, f64::from(r)]).collect();
            let family = SimultaneousIntervals::new(&[constant, 1.0], &rows, 0.95);
            assert!(matches!(family, Err(StatsError::Undefined { .. })), "{family:?}");
        }
    }

    #[test]
    fn step_down_p_values_grow_as_estimates_shrink() {
        let family = SimultaneousIntervals::new(&[4.0, 2.6, 0.1], &independent(3, 5_000), 0.95)
            .expect("defined");
        assert!(family.p_values[0] < 0.002);
        // P(max of two |z| >= 2.6) = 1 - (1 - 0.00932)^2 = 0.0186
        assert!((family.p_values[1] - 0.0186).abs() < 0.006);
        assert!(family.p_values[2] > 0.85);
    }
}
