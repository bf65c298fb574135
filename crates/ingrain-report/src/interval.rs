//! How sure a share or a mean is: 95 % intervals.

/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_985;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A share of `successes` among `n`; `None` for no observations.
///
/// # Source
/// Wilson 1927: the interval that stays sensible at 0 %, at 100 % and for few observations.
pub(crate) fn share(successes: usize, n: usize) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let (n, p) = (n as f64, successes as f64 / n as f64);
    let z2 = Z * Z / n;
    let middle = (p + z2 / 2.0) / (1.0 + z2);
    let half = Z / (1.0 + z2) * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    Some(Interval { value: p, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

/// A mean, by the normal approximation; `None` for fewer than two observations.
pub(crate) fn mean(values: &[f64]) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = Z * (variance / n).sqrt();
    Some(Interval { value: mean, low: mean - half, high: mean + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_ten_in_twenty_has_the_published_wilson_interval() {
        // statsmodels: proportion_confint(10, 20, method="wilson") = (0.299298, 0.700702)
        let interval = share(10, 20).expect("twenty observations");
        assert!((interval.low - 0.299_298).abs() < 1e-6, "{interval:?}");
        assert!((interval.high - 0.700_702).abs() < 1e-6, "{interval:?}");
        // proportion_confint(0, 20, method="wilson") = (0, 0.161125)
        let none = share(0, 20).expect("twenty observations");
        assert_eq!(none.low, 0.0);
        assert!((none.high - 0.161_125).abs() < 1e-6, "{none:?}");
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn a_mean_has_an_interval_of_two_standard_errors() {
        // mean 2.5, variance 5/3, standard error 0.645497
        let interval = mean(&[1.0, 2.0, 3.0, 4.0]).expect("four observations");
        assert_eq!(interval.value, 2.5);
        assert!((interval.high - 2.5 - Z * 0.645_497).abs() < 1e-6, "{interval:?}");
        assert_eq!(mean(&[1.0]), None);
    }
}
