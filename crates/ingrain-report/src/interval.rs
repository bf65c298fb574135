//! How sure a share or a mean over questions is: 95 % intervals, where there are any.

use ingrain_stats::Interval;

const CONFIDENCE: f64 = 0.95;

/// A share of `successes` among `n`; `None` for no observations.
pub(crate) fn share(successes: usize, n: usize) -> Option<Interval> {
    Interval::wilson(successes, n, CONFIDENCE).ok()
}

/// A mean, by the normal approximation; `None` for fewer than two observations.
pub(crate) fn mean(values: &[f64]) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Interval::normal(mean, (variance / n).sqrt(), CONFIDENCE).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_an_interval_of_two_standard_errors() {
        // Mean 2.5, variance 5/3, standard error 0.645497, quantile 1.959964.
        let interval = mean(&[1.0, 2.0, 3.0, 4.0]).expect("four observations");
        assert_eq!(interval.estimate, 2.5);
        assert!((interval.high - 2.5 - 1.959_964 * 0.645_497).abs() < 1e-5, "{interval:?}");
        assert_eq!(mean(&[1.0]), None);
        assert_eq!(share(0, 0), None);
    }
}
