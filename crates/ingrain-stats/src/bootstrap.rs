//! The bootstrap: resampled indices, and intervals from what a statistic makes of them.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{StatsError, at_least, finite, same_length, share};
use crate::ranks::constant;
use crate::{Interval, Stream, normal};

/// How often to resample, with which seed, and how wide the interval is to be.
///
/// A statistic is a function of drawn indices: of observations, or of clusters of them (see
/// [`Clusters`]). Two series that share their indices are thereby resampled in pairs.
///
/// # Examples
/// ```
/// use ingrain_stats::Bootstrap;
///
/// let values = [2.0, 4.0, 4.0, 5.0, 7.0, 9.0];
/// let mean = |draw: &[usize]| draw.iter().map(|&i| values[i]).sum::<f64>() / draw.len() as f64;
/// let interval = Bootstrap::default().percentile(values.len(), mean)?;
/// assert!((interval.estimate - 31.0 / 6.0).abs() < 1e-12);
/// assert!(interval.low < 5.0 && interval.high > 6.0);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// Resamples. Default 1,000.
    pub replicates: usize,
    /// Of the intervals, in 0..1. Default 0.95.
    pub confidence: f64,
    /// Resample `r` depends on this and `r` alone, never on threads.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 1_000, confidence: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// `statistic` of each resample of `0..n`, computed on all cores.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] for `n = 0` or fewer than two resamples; [`StatsError::OutOfRange`] for
    /// a confidence outside 0..1.
    pub fn replicates<T: Send>(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> T + Sync,
    ) -> Result<Vec<T>, StatsError> {
        at_least("a bootstrap", 1, n)?;
        share("confidence", self.confidence)?;
        if self.replicates < 2 {
            let (what, unit) = ("a bootstrap", "resamples");
            return Err(StatsError::TooFew { what, unit, needed: 2, found: self.replicates });
        }
        let resample = |replicate: u64| {
            let mut stream = Stream::new(self.seed, replicate);
            let draw: Vec<usize> = (0..n).map(|_| stream.below(n)).collect();
            statistic(&draw)
        };
        Ok((0..self.replicates as u64).into_par_iter().map(resample).collect())
    }

    /// The percentile interval of `statistic` over `0..n`.
    ///
    /// Resamples in which the statistic is NaN are left out.
    ///
    /// # Errors
    /// As [`Bootstrap::replicates`]; [`StatsError::NotFinite`] where the statistic of the data
    /// themselves is no number; [`StatsError::Replicates`] where more than half of the resamples are
    /// none.
    pub fn percentile(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Interval, StatsError> {
        let estimate = statistic(&Vec::from_iter(0..n));
        finite("the statistic", &[estimate])?;
        percentile_interval(estimate, self.replicates(n, statistic)?, self.confidence)
    }

    /// The bias-corrected and accelerated interval of `statistic` over `0..n`. The acceleration
    /// comes from leaving out one index at a time.
    ///
    /// # Errors
    /// As [`Bootstrap::percentile`], and [`StatsError::Undefined`] where every resample gives the same
    /// value.
    ///
    /// # Source
    /// Efron 1987; Efron and Tibshirani 1993, section 14.3.
    pub fn bca(
        &self,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64 + Sync,
    ) -> Result<Interval, StatsError> {
        let all = Vec::from_iter(0..n);
        let estimate = statistic(&all);
        finite("the statistic", &[estimate])?;
        let replicates = self.replicates(n, &statistic)?;
        let without =
            |left_out: usize| statistic(&Vec::from_iter((0..n).filter(|&i| i != left_out)));
        let jackknife: Vec<f64> = (0..n).into_par_iter().map(without).collect();
        bca_interval(estimate, replicates, &jackknife, self.confidence)
    }

    /// The difference of means `a - b` of observations that belong together in pairs.
    ///
    /// # Errors
    /// [`StatsError::Lengths`] for series of different lengths; otherwise as
    /// [`Bootstrap::percentile`].
    pub fn paired_difference(&self, a: &[f64], b: &[f64]) -> Result<Interval, StatsError> {
        same_length("a paired difference", a.len(), b.len())?;
        let mean =
            |draw: &[usize]| draw.iter().map(|&i| a[i] - b[i]).sum::<f64>() / draw.len() as f64;
        self.percentile(a.len(), mean)
    }
}

/// Observations grouped by what makes them depend on each other: prompt, conversation, rater.
///
/// # Examples
/// ```
/// use ingrain_stats::{Bootstrap, Clusters};
///
/// let (prompt, won) = (["a", "a", "b", "c", "c", "c"], [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
/// let prompts = Clusters::new(&prompt);
/// let rate = |draw: &[usize]| {
///     let drawn = prompts.expand(draw);
///     drawn.iter().map(|&i| won[i]).sum::<f64>() / drawn.len() as f64
/// };
/// assert_eq!(Bootstrap::default().percentile(prompts.len(), rate)?.estimate, 4.0 / 6.0);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clusters {
    members: Vec<Vec<usize>>,
}

impl Clusters {
    /// Observations with the same label form a cluster; clusters are in order of appearance.
    #[must_use]
    pub fn new<L: std::hash::Hash + Eq>(labels: &[L]) -> Self {
        let mut index = std::collections::HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (i, label) in labels.iter().enumerate() {
            let cluster = *index.entry(label).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            members[cluster].push(i);
        }
        Self { members }
    }

    /// Number of clusters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no cluster.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The observations of each cluster.
    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        self.members.iter().map(Vec::as_slice)
    }

    /// The observations of the clusters drawn, each as often as it was drawn.
    #[must_use]
    pub fn expand(&self, draw: &[usize]) -> Vec<usize> {
        draw.iter().flat_map(|&c| &self.members[c]).copied().collect()
    }
}

/// The quantile of sorted numbers, linear between them (NumPy's default).
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, share) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + share * (sorted[high] - sorted[low])
}

/// Numbers only, ascending; an error if more than half are not.
fn sorted_numbers(mut replicates: Vec<f64>) -> Result<Vec<f64>, StatsError> {
    let drawn = replicates.len();
    replicates.retain(|value| !value.is_nan());
    if replicates.is_empty() || replicates.len() * 2 < drawn {
        let failed = drawn - replicates.len();
        return Err(StatsError::Replicates { failed, replicates: drawn });
    }
    replicates.sort_unstable_by(f64::total_cmp);
    Ok(replicates)
}

/// The interval between two quantiles of the replicates.
pub(crate) fn percentile_interval(
    estimate: f64,
    replicates: Vec<f64>,
    confidence: f64,
) -> Result<Interval, StatsError> {
    share("confidence", confidence)?;
    let sorted = sorted_numbers(replicates)?;
    let tail = (1.0 - confidence) / 2.0;
    let (low, high) = (quantile(&sorted, tail), quantile(&sorted, 1.0 - tail));
    Ok(Interval { estimate, low, high, confidence })
}

/// As [`Bootstrap::bca`], of replicates and leave-one-out values computed elsewhere.
///
/// # Errors
/// As [`Bootstrap::bca`].
pub fn bca_interval(
    estimate: f64,
    replicates: Vec<f64>,
    jackknife: &[f64],
    confidence: f64,
) -> Result<Interval, StatsError> {
    share("confidence", confidence)?;
    let sorted = sorted_numbers(replicates)?;
    // Replicates equal to the estimate count half, as in SciPy.
    let below = sorted.partition_point(|&value| value < estimate);
    let up_to = sorted.partition_point(|&value| value <= estimate);
    let bias = normal::quantile((below + up_to) as f64 / (2 * sorted.len()) as f64);
    if constant(&sorted) {
        let reason = "every resample gives the same value";
        return Err(StatsError::Undefined { what: "a BCa interval", reason });
    }
    let mean = jackknife.iter().sum::<f64>() / jackknife.len().max(1) as f64;
    let moment = |power| jackknife.iter().map(|j| (mean - j).powi(power)).sum::<f64>();
    let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
    if !bias.is_finite() || !acceleration.is_finite() {
        let reason = "the statistic lies outside all its resamples, or no observation moves it";
        return Err(StatsError::Undefined { what: "a BCa interval", reason });
    }
    let tail = normal::quantile((1.0 - confidence) / 2.0);
    let end = |z: f64| {
        let shifted = bias + z;
        quantile(&sorted, normal::cdf(bias + shifted / (1.0 - acceleration * shifted)))
    };
    Ok(Interval { estimate, low: end(tail), high: end(-tail), confidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_interval_on_any_number_of_threads() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        let mean = |draw: &[usize]| draw.iter().map(|&i| values[i]).sum::<f64>() / 50.0;
        let interval = || Bootstrap::default().percentile(50, mean);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        assert_eq!(alone.install(interval), interval());
    }

    #[test]
    fn nothing_to_resample_and_constant_data_are_named() {
        let bootstrap = Bootstrap::default();
        assert!(matches!(bootstrap.percentile(0, |_| 1.0), Err(StatsError::TooFew { .. })));
        for constant in [1.0, 0.1] {
            let bca = bootstrap.bca(5, |_| constant);
            assert!(matches!(bca, Err(StatsError::Undefined { .. })), "{bca:?}");
        }
        assert!(matches!(bootstrap.percentile(5, |_| f64::NAN), Err(StatsError::NotFinite { .. })));
    }

    #[test]
    fn clusters_are_drawn_whole() {
        let clusters = Clusters::new(&[7, 8, 7, 9]);
        assert_eq!(clusters.len(), 3);
        assert_eq!(clusters.expand(&[0, 2, 0]), [0, 2, 3, 0, 2]);
    }
}
