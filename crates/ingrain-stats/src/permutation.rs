//! Permutation tests: p-values that assume nothing but exchangeability.

use rayon::prelude::*;

use crate::Stream;
use crate::error::{StatsError, at_least, finite, same_length};

/// Up to this many rearrangements, all are looked at.
const EXACT: u64 = 20_000;

/// Sums that differ by this little, relative to the sizes of their terms, differ by rounding.
const ROUNDING: f64 = 1e-12;

/// Two-sided p-value of "the mean of paired differences `a - b` is 0", by flipping signs.
///
/// Exact for up to 14 pairs; above, from `resamples` random flips, the observed one included.
///
/// # Errors
/// [`StatsError::Lengths`], [`StatsError::TooFew`] without pairs, [`StatsError::NotFinite`].
///
/// # Source
/// Fisher 1935; Phipson and Smyth 2010 for the count of the observed arrangement.
pub fn paired_permutation_test(
    a: &[f64],
    b: &[f64],
    resamples: usize,
    seed: u64,
) -> Result<f64, StatsError> {
    let what = "a paired permutation test";
    same_length(what, a.len(), b.len())?;
    at_least(what, 1, a.len())?;
    finite(what, a)?;
    finite(what, b)?;
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let extreme = as_extreme_as(&differences, differences.len(), size(a) + size(b));
    if differences.len() < 64 && 1_u64 << differences.len() <= EXACT {
        let signed = |mask: u64| -> f64 {
            let sign = |i: usize| if mask >> i & 1 == 1 { -1.0 } else { 1.0 };
            differences.iter().enumerate().map(|(i, d)| sign(i) * d).sum()
        };
        let all = 1_u64 << differences.len();
        let count = (0..all).filter(|&mask| extreme(signed(mask))).count();
        return Ok(count as f64 / all as f64);
    }
    Ok(monte_carlo(resamples, seed, |stream| {
        extreme(differences.iter().map(|d| if stream.happens(0.5) { -d } else { *d }).sum())
    }))
}

/// Two-sided p-value of "both samples come from one distribution", by the difference of their means
/// under `resamples` random relabellings, the observed one included.
///
/// # Errors
/// [`StatsError::TooFew`] for an empty sample, [`StatsError::NotFinite`].
pub fn permutation_test(
    a: &[f64],
    b: &[f64],
    resamples: usize,
    seed: u64,
) -> Result<f64, StatsError> {
    let what = "a permutation test";
    at_least(what, 1, a.len().min(b.len()))?;
    finite(what, a)?;
    finite(what, b)?;
    // The difference of the means is a multiple of what the sum of `a` has more than its share, so of
    // the sum of its distances from the mean of all.
    let mut pooled = [a, b].concat();
    let given = size(&pooled);
    let mean = pooled.iter().sum::<f64>() / pooled.len() as f64;
    pooled.iter_mut().for_each(|value| *value -= mean);
    let extreme = as_extreme_as(&pooled, a.len(), given);
    Ok(monte_carlo(resamples, seed, |stream| {
        let mut order = pooled.clone();
        stream.shuffle(&mut order);
        extreme(order[..a.len()].iter().sum())
    }))
}

/// Whether a sum is as far from 0 as that of the first `observed` terms is. `given` is the size of the
/// numbers that the terms were made from, whose own last digit may be rounding.
fn as_extreme_as(terms: &[f64], observed: usize, given: f64) -> impl Fn(f64) -> bool {
    let rounding = ROUNDING * size(terms) + f64::EPSILON * given;
    let bound = terms[..observed].iter().sum::<f64>().abs() - rounding;
    move |value: f64| value.abs() >= bound
}

fn size(values: &[f64]) -> f64 {
    values.iter().map(|value| value.abs()).sum()
}

/// `(1 + extreme) / (1 + resamples)`.
fn monte_carlo(resamples: usize, seed: u64, extreme: impl Fn(&mut Stream) -> bool + Sync) -> f64 {
    let count = (0..resamples as u64)
        .into_par_iter()
        .filter(|&index| extreme(&mut Stream::new(seed, index)))
        .count();
    (count + 1) as f64 / (resamples + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_differences_of_one_sign_are_exactly_one_in_sixteen() {
        // Of 32 sign patterns, two (all plus, all minus) are as extreme.
        let p = paired_permutation_test(&[1.0, 2.0, 3.0, 4.0, 5.0], &[0.0; 5], 0, 0);
        assert_eq!(p, Ok(2.0 / 32.0));
    }

    #[test]
    fn random_flips_agree_with_the_normal_approximation() {
        let a: Vec<f64> = (0..100).map(|i| if i < 60 { 1.0 } else { -1.0 }).collect();
        // 60 of 100 heads: binomial two-sided p = 0.0569.
        let p = paired_permutation_test(&a, &[0.0; 100], 20_000, 1).expect("defined");
        assert!((p - 0.0569).abs() < 0.006, "{p}");
    }

    #[test]
    fn sums_that_differ_by_rounding_are_equal() {
        // 0.1 + 0.2 - 0.3 is 0 and comes out as 5.6e-17; 0.3 - 0.2 - 0.1 as -2.8e-17.
        for differences in [[0.1, 0.2, -0.3], [0.3, -0.2, -0.1], [1e9 + 0.5, -1e9, -0.5]] {
            assert_eq!(paired_permutation_test(&differences, &[0.0; 3], 0, 0), Ok(1.0));
        }
        assert_eq!(permutation_test(&[0.1, 0.2, 0.6], &[0.3; 3], 200, 0), Ok(1.0));
        // 0.1 beside a million is not quite 0.1.
        let million = |values: [f64; 2]| values.map(|value| 1e6 + value);
        let p = paired_permutation_test(&million([0.1, 0.3]), &million([0.2, 0.2]), 0, 0);
        assert_eq!(p, Ok(1.0));
    }

    #[test]
    fn no_difference_at_all_has_p_one() {
        assert_eq!(paired_permutation_test(&[1.0; 30], &[1.0; 30], 100, 0), Ok(1.0));
        assert_eq!(permutation_test(&[1.0; 3], &[1.0; 4], 100, 0), Ok(1.0));
    }
}
