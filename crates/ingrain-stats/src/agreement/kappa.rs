//! Cohen's kappa, plain and weighted.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, at_least, same_length};

/// How bad a disagreement is, by the distance of the two categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Any disagreement alike.
    Equal,
    /// The distance.
    Linear,
    /// Its square.
    Quadratic,
}

impl Weights {
    fn of(self, a: usize, b: usize) -> f64 {
        let distance = a.abs_diff(b) as f64;
        match self {
            Self::Equal => f64::from(u8::from(a != b)),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

/// Cohen's kappa of two raters: 1 is full agreement, 0 what chance gives.
///
/// # Errors
/// As [`weighted_kappa`].
///
/// # Source
/// Cohen 1960.
pub fn cohen_kappa(a: &[usize], b: &[usize]) -> Result<f64, StatsError> {
    weighted_kappa(a, b, Weights::Equal)
}

/// Kappa in which some disagreements count more: `1 - observed / expected` weighted disagreement.
/// Categories are numbers in their order, from 0.
///
/// # Errors
/// [`StatsError::Lengths`], [`StatsError::TooFew`] without ratings, [`StatsError::OutOfRange`] for a
/// category above 10,000, or [`StatsError::Undefined`] where both raters gave every unit the same
/// category.
///
/// # Source
/// Cohen 1968.
pub fn weighted_kappa(a: &[usize], b: &[usize], weights: Weights) -> Result<f64, StatsError> {
    let what = "kappa";
    same_length(what, a.len(), b.len())?;
    at_least(what, 1, a.len())?;
    let highest = a.iter().chain(b).copied().max().unwrap_or(0);
    if highest > 10_000 {
        let (name, range) = ("a category", "0 to 10,000");
        return Err(StatsError::OutOfRange { name, value: highest as f64, range });
    }
    let count = |ratings: &[usize]| {
        let mut counts = vec![0.0; highest + 1];
        ratings.iter().for_each(|&category| counts[category] += 1.0);
        counts
    };
    let (count_a, count_b, n) = (count(a), count(b), a.len() as f64);
    let observed: f64 = a.iter().zip(b).map(|(&a, &b)| weights.of(a, b)).sum();
    let mut expected = 0.0;
    for (i, in_a) in count_a.iter().enumerate().filter(|(_, n)| **n > 0.0) {
        for (j, in_b) in count_b.iter().enumerate().filter(|(_, n)| **n > 0.0) {
            expected += weights.of(i, j) * in_a * in_b / n;
        }
    }
    if expected == 0.0 {
        let reason = "both raters gave every unit the same category";
        return Err(StatsError::Undefined { what, reason });
    }
    Ok(1.0 - observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cohens_two_by_two_example() {
        // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed .70, expected .50, kappa .40.
        let table = [(1, 1, 20), (1, 0, 5), (0, 1, 10), (0, 0, 15)];
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (x, y, n) in table {
            a.extend(vec![x; n]);
            b.extend(vec![y; n]);
        }
        assert!((cohen_kappa(&a, &b).expect("defined") - 0.4).abs() < 1e-12);
        // With two categories all weights are the same.
        assert_eq!(weighted_kappa(&a, &b, Weights::Quadratic), cohen_kappa(&a, &b));
    }

    #[test]
    fn agreement_on_a_single_category_is_undefined_rather_than_perfect() {
        assert!(matches!(cohen_kappa(&[2, 2], &[2, 2]), Err(StatsError::Undefined { .. })));
        assert!(matches!(cohen_kappa(&[], &[]), Err(StatsError::TooFew { .. })));
        assert!(matches!(cohen_kappa(&[usize::MAX], &[0]), Err(StatsError::OutOfRange { .. })));
    }
}
