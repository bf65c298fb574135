//! An estimate with its interval.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, share};
use crate::normal;

/// An estimate and the interval around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate itself.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often such an interval covers the truth, in 0..1: 0.95 for the usual one.
    pub confidence: f64,
}

impl Interval {
    /// `estimate +- z * standard_error`.
    ///
    /// # Errors
    /// [`StatsError::OutOfRange`] for a confidence outside 0..1.
    pub fn normal(estimate: f64, standard_error: f64, confidence: f64) -> Result<Self, StatsError> {
        let half = critical(confidence)? * standard_error;
        Ok(Self { estimate, low: estimate - half, high: estimate + half, confidence })
    }

    /// Wilson's score interval for a share of `successes` in `trials`.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without trials; [`StatsError::OutOfRange`] for more successes than
    /// trials or a confidence outside 0..1.
    ///
    /// # Source
    /// Wilson 1927; the form of Brown, Cai and DasGupta 2001, eq. 4.
    pub fn wilson(successes: usize, trials: usize, confidence: f64) -> Result<Self, StatsError> {
        if trials == 0 {
            let what = "a share";
            return Err(StatsError::TooFew { what, unit: "trials", needed: 1, found: 0 });
        }
        let (n, z) = (trials as f64, critical(confidence)?);
        let estimate = successes as f64 / n;
        if estimate > 1.0 {
            let range = "0 to the number of trials";
            return Err(StatsError::OutOfRange {
                name: "successes",
                value: successes as f64,
                range,
            });
        }
        let centre = (estimate + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n)
            * (estimate * (1.0 - estimate) / n + z * z / (4.0 * n * n)).sqrt();
        let low = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
        let high = if successes == trials { 1.0 } else { (centre + half).min(1.0) };
        Ok(Self { estimate, low, high, confidence })
    }

    /// Whether `value` lies inside, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The two-sided critical value of the normal distribution: 1.96 for 0.95.
pub(crate) fn critical(confidence: f64) -> Result<f64, StatsError> {
    share("confidence", confidence)?;
    Ok(normal::quantile(0.5 + confidence / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_and_of_everything_has_an_interval_of_some_width() {
        let none = Interval::wilson(0, 20, 0.95).expect("defined");
        assert_eq!(none.low, 0.0);
        // z^2 / (n + z^2) = 3.8415 / 23.8415
        assert!((none.high - 0.161_125_22).abs() < 1e-7);
        let all = Interval::wilson(20, 20, 0.95).expect("defined");
        assert!((all.low - (1.0 - none.high)).abs() < 1e-12 && all.high == 1.0);
    }

    #[test]
    fn impossible_inputs_are_named() {
        assert!(matches!(Interval::wilson(0, 0, 0.95), Err(StatsError::TooFew { .. })));
        assert!(matches!(Interval::wilson(3, 2, 0.95), Err(StatsError::OutOfRange { .. })));
        assert!(matches!(Interval::normal(0.0, 1.0, 1.0), Err(StatsError::OutOfRange { .. })));
    }
}
