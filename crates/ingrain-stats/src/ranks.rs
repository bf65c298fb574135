//! Correlations of values and of ranks.

use std::cmp::Ordering;

use crate::error::{StatsError, at_least, finite, same_length};

/// Pearson's correlation, in -1..=1.
///
/// # Errors
/// [`StatsError::Lengths`], [`StatsError::TooFew`] below two observations, [`StatsError::NotFinite`],
/// or [`StatsError::Undefined`] where one side is constant.
pub fn pearson(a: &[f64], b: &[f64]) -> Result<f64, StatsError> {
    let what = "a correlation";
    check(what, a, b)?;
    // Asked of the values: sums of squares may keep rounding where a constant's mean is not exact.
    if constant(a) || constant(b) {
        return Err(StatsError::Undefined { what, reason: "one side is constant" });
    }
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    if aa == 0.0 || bb == 0.0 {
        let reason = "one side varies by less than can be squared";
        return Err(StatsError::Undefined { what, reason });
    }
    Ok((ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: Pearson's of the ranks, equal values sharing their mean rank.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(a: &[f64], b: &[f64]) -> Result<f64, StatsError> {
    check("a rank correlation", a, b)?;
    pearson(&mean_ranks(a), &mean_ranks(b))
}

/// Kendall's tau-b, which takes account of ties on either side.
///
/// Looks at every pair of observations: for thousands of them, not for millions.
///
/// # Errors
/// As [`pearson`].
pub fn kendall_tau_b(a: &[f64], b: &[f64]) -> Result<f64, StatsError> {
    let what = "Kendall's tau";
    check(what, a, b)?;
    let (mut score, mut untied_a, mut untied_b) = (0_i64, 0_i64, 0_i64);
    let sign = |x: f64, y: f64| match x.partial_cmp(&y) {
        Some(Ordering::Less) => -1_i64,
        Some(Ordering::Greater) => 1,
        _ => 0,
    };
    let points: Vec<(f64, f64)> = a.iter().copied().zip(b.iter().copied()).collect();
    for (i, (x, y)) in points.iter().enumerate() {
        for (other_x, other_y) in &points[..i] {
            let (in_a, in_b) = (sign(*x, *other_x), sign(*y, *other_y));
            score += in_a * in_b;
            untied_a += in_a.abs();
            untied_b += in_b.abs();
        }
    }
    if untied_a == 0 || untied_b == 0 {
        return Err(StatsError::Undefined { what, reason: "one side is constant" });
    }
    Ok(score as f64 / ((untied_a as f64).sqrt() * (untied_b as f64).sqrt()))
}

/// Mean of `|a - b|`, in the unit of the values.
///
/// # Errors
/// [`StatsError::Lengths`], [`StatsError::TooFew`] without observations, [`StatsError::NotFinite`].
pub fn mean_absolute_error(a: &[f64], b: &[f64]) -> Result<f64, StatsError> {
    let what = "a mean absolute error";
    same_length(what, a.len(), b.len())?;
    at_least(what, 1, a.len())?;
    finite(what, a)?;
    finite(what, b)?;
    Ok(a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64)
}

/// Ranks from 1, equal values sharing the mean of theirs.
pub(crate) fn mean_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|&i| ranks[i] = rank);
        before += group.len();
    }
    ranks
}

/// Whether all values are the same; true of none.
pub(crate) fn constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

fn check(what: &'static str, a: &[f64], b: &[f64]) -> Result<(), StatsError> {
    same_length(what, a.len(), b.len())?;
    at_least(what, 2, a.len())?;
    finite(what, a)?;
    finite(what, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_alone_decides_a_rank_correlation() {
        let (a, b) = ([1.0, 2.0, 3.0, 10.0], [0.1, 5.0, 5.5, 1e6]);
        for correlation in [spearman, kendall_tau_b] {
            assert!((correlation(&a, &b).expect("defined") - 1.0).abs() < 1e-12);
        }
        // -0.0 and 0.0 are the same value.
        assert_eq!(mean_ranks(&[0.0, -0.0, 1.0]), [1.5, 1.5, 3.0]);
    }

    #[test]
    fn a_constant_side_has_no_correlation() {
        for correlation in [pearson, spearman, kendall_tau_b] {
            // Three times 0.1 have a mean that is not 0.1.
            for constant in [1.0, 0.1] {
                let error = correlation(&[constant; 3], &[1.0, 2.0, 3.0]);
                assert!(matches!(error, Err(StatsError::Undefined { .. })), "{error:?}");
            }
            assert!(matches!(correlation(&[1.0], &[1.0]), Err(StatsError::TooFew { .. })));
            let nan = correlation(&[1.0, f64::NAN], &[1.0, 2.0]);
            assert!(matches!(nan, Err(StatsError::NotFinite { index: 1, .. })));
        }
    }
}
