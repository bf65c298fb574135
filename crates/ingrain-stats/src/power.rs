//! What a study can find, and how large it must be.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, share};
use crate::normal;

/// A two-sided test of a mean with normal error.
///
/// # Examples
/// ```
/// use ingrain_stats::PowerAnalysis;
///
/// // A win rate against 50 %: each verdict has a standard deviation of 0.5.
/// let study = PowerAnalysis::default();
/// assert_eq!(study.sample_size(0.10, 0.5)?, 197);
/// assert!((study.minimum_detectable_effect(0.5, 500.0)? - 0.0626).abs() < 1e-4);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerAnalysis {
    /// Chance of a finding where there is none, in 0..1. Default 0.05.
    pub alpha: f64,
    /// Chance of finding the effect, in `alpha`..1. Default 0.8.
    pub power: f64,
}

impl Default for PowerAnalysis {
    fn default() -> Self {
        Self { alpha: 0.05, power: 0.8 }
    }
}

impl PowerAnalysis {
    /// Chance of finding `effect` with this standard error, at level `alpha`.
    ///
    /// # Errors
    /// [`StatsError::OutOfRange`] for `alpha` outside 0..1 or a standard error not above 0.
    pub fn power_of(&self, effect: f64, standard_error: f64) -> Result<f64, StatsError> {
        share("alpha", self.alpha)?;
        positive("a standard error", standard_error)?;
        let critical = normal::quantile(1.0 - self.alpha / 2.0);
        let distance = effect.abs() / standard_error;
        Ok(normal::cdf(distance - critical) + normal::cdf(-distance - critical))
    }

    /// The smallest true effect that `n` observations of standard deviation `sd` find with the
    /// wanted power. For clustered data, divide `n` by [`design_effect`].
    ///
    /// # Errors
    /// [`StatsError::OutOfRange`] for settings outside their range.
    pub fn minimum_detectable_effect(&self, sd: f64, n: f64) -> Result<f64, StatsError> {
        positive("the number of observations", n)?;
        positive("a standard deviation", sd)?;
        Ok(self.distance()? * sd / n.sqrt())
    }

    /// The number of observations of standard deviation `sd` with which `effect` is found with the
    /// wanted power. For clustered data, multiply by [`design_effect`].
    ///
    /// # Errors
    /// [`StatsError::OutOfRange`] for settings outside their range or an effect of 0.
    pub fn sample_size(&self, effect: f64, sd: f64) -> Result<usize, StatsError> {
        positive("a standard deviation", sd)?;
        positive("the size of an effect", effect.abs())?;
        let n = (self.distance()? * sd / effect.abs()).powi(2);
        if n > 1e15 {
            let range = "what fewer than 1e15 observations can find";
            return Err(StatsError::OutOfRange { name: "the effect", value: effect, range });
        }
        // A whole number that rounding has lifted a little is still that number.
        Ok((n * (1.0 - 1e-12)).ceil() as usize)
    }

    /// The effect, in standard errors, that is found with the wanted power.
    fn distance(&self) -> Result<f64, StatsError> {
        share("alpha", self.alpha)?;
        share("power", self.power)?;
        if self.power <= self.alpha {
            let range = "above alpha";
            return Err(StatsError::OutOfRange { name: "power", value: self.power, range });
        }
        let (mut low, mut high) = (0.0, 80.0);
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            if self.power_of(middle, 1.0)? < self.power { low = middle } else { high = middle }
        }
        Ok(high)
    }
}

/// By how much clusters of `size` observations with this intra-class correlation inflate a variance.
///
/// # Source
/// Kish 1965: `1 + (size - 1) icc`.
#[must_use]
pub fn design_effect(size: f64, icc: f64) -> f64 {
    1.0 + (size - 1.0) * icc
}

fn positive(name: &'static str, value: f64) -> Result<(), StatsError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(StatsError::OutOfRange { name, value, range: "above 0, finite" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_effect_invert_each_other() {
        let study = PowerAnalysis { alpha: 0.01, power: 0.9 };
        for n in [10_usize, 400, 25_000] {
            let effect = study.minimum_detectable_effect(3.0, n as f64).expect("defined");
            assert_eq!(study.sample_size(effect, 3.0), Ok(n));
        }
    }

    #[test]
    fn power_at_no_effect_is_alpha() {
        let power = PowerAnalysis::default().power_of(0.0, 1.0).expect("defined");
        assert!((power - 0.05).abs() < 1e-12);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let study = PowerAnalysis { alpha: 0.05, power: 0.04 };
        assert!(matches!(study.sample_size(1.0, 1.0), Err(StatsError::OutOfRange { .. })));
        let study = PowerAnalysis::default();
        assert!(matches!(study.sample_size(0.0, 1.0), Err(StatsError::OutOfRange { .. })));
        assert!(study.minimum_detectable_effect(f64::NAN, 10.0).is_err());
    }
}
