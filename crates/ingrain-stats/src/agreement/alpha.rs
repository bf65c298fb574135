//! Krippendorff's alpha.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, finite};

/// What the values of a rating mean, and so how far apart two of them are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Names: equal or not.
    Nominal,
    /// An order: how many ratings lie between.
    Ordinal,
    /// Distances: the squared difference.
    Interval,
}

/// Krippendorff's alpha: 1 is full agreement, 0 what chance gives. Any number of raters, with gaps.
///
/// `ratings` holds one slice a unit, with what each rater said of it, `None` where one said nothing.
/// Units with fewer than two ratings say nothing about agreement and are left out.
///
/// # Errors
/// [`StatsError::TooFew`] where no unit has two ratings; [`StatsError::NotFinite`];
/// [`StatsError::Undefined`] where all ratings are the same.
///
/// # Examples
/// ```
/// use ingrain_stats::{Level, krippendorff_alpha};
///
/// let units = [vec![Some(1.0), Some(1.0)], vec![Some(2.0), Some(2.0)], vec![Some(1.0), None]];
/// assert_eq!(krippendorff_alpha(&units, Level::Nominal)?, 1.0);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
///
/// # Source
/// Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
pub fn krippendorff_alpha<U: AsRef<[Option<f64>]>>(
    ratings: &[U],
    level: Level,
) -> Result<f64, StatsError> {
    let what = "Krippendorff's alpha";
    let units: Vec<Vec<f64>> = ratings
        .iter()
        .map(|unit| unit.as_ref().iter().flatten().copied().collect())
        .filter(|unit: &Vec<f64>| unit.len() >= 2)
        .collect();
    if units.is_empty() {
        let unit = "units that two raters saw";
        return Err(StatsError::TooFew { what, unit, needed: 1, found: 0 });
    }
    let mut all: Vec<f64> = units.concat();
    finite(what, &all)?;
    all.sort_unstable_by(f64::total_cmp);
    let groups: Vec<&[f64]> = all.chunk_by(|a, b| a == b).collect();
    let values: Vec<f64> = groups.iter().map(|group| group[0]).collect();
    let counts: Vec<f64> = groups.iter().map(|group| group.len() as f64).collect();
    let distance = Distance::new(level, &values, &counts);

    let mut observed = 0.0;
    for unit in &units {
        let mut tally = vec![0.0; values.len()];
        for rating in unit {
            tally[values.partition_point(|value| value < rating)] += 1.0;
        }
        observed += distance.between_all(&tally) / (unit.len() - 1) as f64;
    }
    let expected = distance.between_all(&counts) / (all.len() - 1) as f64;
    if expected == 0.0 {
        return Err(StatsError::Undefined { what, reason: "all ratings are the same" });
    }
    Ok(1.0 - observed / expected)
}

/// Where each value lies on a line whose squared distances are the level's; nominal values lie on
/// none.
struct Distance {
    nominal: bool,
    positions: Vec<f64>,
}

impl Distance {
    fn new(level: Level, values: &[f64], counts: &[f64]) -> Self {
        let positions = match level {
            Level::Nominal | Level::Interval => values.to_vec(),
            // Half of an own group and all groups before: differences are Krippendorff's
            // `sum of n_g from c to k, less (n_c + n_k) / 2`.
            Level::Ordinal => {
                let mut before = 0.0;
                let middle = |&count: &f64| {
                    before += count;
                    before - count / 2.0
                };
                counts.iter().map(middle).collect()
            }
        };
        Self { nominal: level == Level::Nominal, positions }
    }

    /// The sum of distances over all ordered pairs of ratings with these counts.
    fn between_all(&self, counts: &[f64]) -> f64 {
        let present: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0.0).collect();
        let mut sum = 0.0;
        for &i in &present {
            for &j in &present {
                let apart = self.positions[i] - self.positions[j];
                let distance =
                    if self.nominal { f64::from(u8::from(i != j)) } else { apart * apart };
                sum += counts[i] * counts[j] * distance;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn krippendorffs_own_example_with_gaps() {
        // Krippendorff 2011, section C: four observers, twelve units, missing data.
        let gap = f64::NAN;
        let observers = [
            [1., 2., 3., 3., 2., 1., 4., 1., 2., gap, gap, gap],
            [1., 2., 3., 3., 2., 2., 4., 1., 2., 5., gap, 3.],
            [gap, 3., 3., 3., 2., 3., 4., 2., 2., 5., 1., gap],
            [1., 2., 3., 3., 2., 4., 4., 1., 2., 5., 1., gap],
        ];
        let units: Vec<Vec<Option<f64>>> = (0..12)
            .map(|u| observers.iter().map(|o| Some(o[u]).filter(|x| !x.is_nan())).collect())
            .collect();
        let published =
            [(Level::Nominal, 0.743), (Level::Ordinal, 0.815), (Level::Interval, 0.849)];
        for (level, expected) in published {
            let alpha = krippendorff_alpha(&units, level).expect("defined");
            assert!((alpha - expected).abs() < 0.0006, "{level:?}: {alpha}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_named() {
        let single = [[Some(1.0), None], [None, Some(2.0)]];
        let constant = [[Some(1.0), Some(1.0)], [Some(1.0), Some(1.0)]];
        let broken = [[Some(1.0), Some(f64::INFINITY)]];
        let alpha = |units: &[[Option<f64>; 2]]| krippendorff_alpha(units, Level::Interval);
        assert!(matches!(alpha(&single), Err(StatsError::TooFew { .. })));
        assert!(matches!(alpha(&constant), Err(StatsError::Undefined { .. })));
        assert!(matches!(alpha(&broken), Err(StatsError::NotFinite { .. })));
    }
}
