//! Least squares and logistic regression with cluster-robust standard errors.

use serde::{Deserialize, Serialize};

use crate::bootstrap::Clusters;
use crate::error::{StatsError, finite, same_length};
use crate::linear::{Cholesky, dot};

/// Coefficients with standard errors that hold when observations of one cluster depend on each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// One a column of the design.
    pub coefficients: Vec<f64>,
    /// Cluster-robust, one a coefficient.
    pub standard_errors: Vec<f64>,
}

/// Mean of `values` and its cluster-robust standard error.
///
/// # Errors
/// As [`least_squares`].
pub fn clustered_mean<L: std::hash::Hash + Eq>(
    values: &[f64],
    clusters: &[L],
) -> Result<(f64, f64), StatsError> {
    let fit = least_squares(&vec![[1.0]; values.len()], values, clusters)?;
    Ok((fit.coefficients[0], fit.standard_errors[0]))
}

/// Ordinary least squares of `outcomes` on the columns of `design`; add a column of ones for an
/// intercept. Each observation its own cluster gives heteroscedasticity-robust (HC1) errors.
///
/// The small-sample factor is `c / (c - 1) * (n - 1) / (n - k)`, as in Stata and statsmodels.
///
/// # Errors
/// [`StatsError::Lengths`]; [`StatsError::TooFew`] for no more observations than columns or below two
/// clusters; [`StatsError::NotFinite`]; [`StatsError::Degenerate`] where columns depend on each other.
///
/// # Source
/// Liang and Zeger 1986; Cameron and Miller 2015, eq. 11.
pub fn least_squares<R: AsRef<[f64]>, L: std::hash::Hash + Eq>(
    design: &[R],
    outcomes: &[f64],
    clusters: &[L],
) -> Result<Regression, StatsError> {
    let what = "least squares";
    let (columns, clusters) = check(what, design, outcomes, clusters)?;
    let mut moment = vec![0.0; columns];
    for (row, y) in design.iter().zip(outcomes) {
        moment.iter_mut().zip(row.as_ref()).for_each(|(m, x)| *m += x * y);
    }
    let factor = information(what, design, columns, |_| 1.0)?;
    factor.solve(&mut moment);
    let residual = |i: usize| outcomes[i] - dot(design[i].as_ref(), &moment);
    let n = outcomes.len() as f64;
    let small_sample = (n - 1.0) / (n - columns as f64);
    let errors = robust(design, &clusters, &factor, residual, small_sample);
    Ok(Regression { coefficients: moment, standard_errors: errors })
}

/// Logistic regression by Newton's method; outcomes are shares in 0..=1, so that a tie can be half a
/// win. The small-sample factor is `c / (c - 1)`, as in Stata.
///
/// # Errors
/// As [`least_squares`]; [`StatsError::OutOfRange`] for an outcome outside 0..=1;
/// [`StatsError::Degenerate`] where the columns predict the outcomes perfectly, so that no finite
/// coefficient is most likely.
pub fn logistic_regression<R: AsRef<[f64]>, L: std::hash::Hash + Eq>(
    design: &[R],
    outcomes: &[f64],
    clusters: &[L],
) -> Result<Regression, StatsError> {
    let what = "logistic regression";
    let (columns, clusters) = check(what, design, outcomes, clusters)?;
    if let Some(&value) = outcomes.iter().find(|y| !(0.0..=1.0).contains(*y)) {
        return Err(StatsError::OutOfRange { name: "an outcome", value, range: "0 to 1" });
    }
    let separated = StatsError::Degenerate {
        what,
        reason: "the columns predict the outcomes perfectly; there is no finite coefficient",
    };
    let mut coefficients = vec![0.0; columns];
    for _ in 0..50 {
        let chance = |i: usize| 1.0 / (1.0 + (-dot(design[i].as_ref(), &coefficients)).exp());
        let residual = |i: usize| outcomes[i] - chance(i);
        let mut step = vec![0.0; columns];
        for (i, row) in design.iter().enumerate() {
            let residual = residual(i);
            step.iter_mut().zip(row.as_ref()).for_each(|(s, x)| *s += x * residual);
        }
        let weight = |i: usize| chance(i) * (1.0 - chance(i));
        let factor = match information(what, design, columns, weight) {
            Ok(factor) => factor,
            // The weights have died out on the way to infinity.
            Err(_) if coefficients.iter().any(|&c| c != 0.0) => return Err(separated),
            Err(error) => return Err(error),
        };
        factor.solve(&mut step);
        let largest = step.iter().fold(0.0_f64, |largest, s| largest.max(s.abs()));
        if largest < 1e-10 * (1.0 + coefficients.iter().fold(0.0_f64, |l, c| l.max(c.abs()))) {
            let standard_errors = robust(design, &clusters, &factor, residual, 1.0);
            return Ok(Regression { coefficients, standard_errors });
        }
        coefficients.iter_mut().zip(&step).for_each(|(c, s)| *c += s);
    }
    Err(separated)
}

fn check<R: AsRef<[f64]>, L: std::hash::Hash + Eq>(
    what: &'static str,
    design: &[R],
    outcomes: &[f64],
    labels: &[L],
) -> Result<(usize, Clusters), StatsError> {
    same_length(what, design.len(), outcomes.len())?;
    same_length(what, design.len(), labels.len())?;
    finite(what, outcomes)?;
    let columns = design.first().map_or(0, |row| row.as_ref().len());
    if columns == 0 {
        return Err(StatsError::TooFew { what, unit: "columns", needed: 1, found: 0 });
    }
    if outcomes.len() <= columns {
        let unit = "observations";
        return Err(StatsError::TooFew { what, unit, needed: columns + 1, found: outcomes.len() });
    }
    for row in design {
        same_length(what, columns, row.as_ref().len())?;
        finite(what, row.as_ref())?;
    }
    let clusters = Clusters::new(labels);
    if clusters.len() < 2 {
        let unit = "clusters";
        return Err(StatsError::TooFew { what, unit, needed: 2, found: clusters.len() });
    }
    Ok((columns, clusters))
}

/// The factor of `sum_i w_i x_i x_i'`.
fn information<R: AsRef<[f64]>>(
    what: &'static str,
    design: &[R],
    columns: usize,
    weight: impl Fn(usize) -> f64,
) -> Result<Cholesky, StatsError> {
    let mut matrix = vec![0.0; columns * columns];
    for (i, row) in design.iter().enumerate() {
        let (row, weight) = (row.as_ref(), weight(i));
        for (line, x) in matrix.chunks_exact_mut(columns).zip(row) {
            line.iter_mut().zip(row).for_each(|(entry, y)| *entry += weight * x * y);
        }
    }
    let reason = "a column is constant 0 or follows from the others";
    Cholesky::new(matrix, columns).ok_or(StatsError::Degenerate { what, reason })
}

/// The sandwich: how far each cluster moves each coefficient, squared and summed.
fn robust<R: AsRef<[f64]>>(
    design: &[R],
    clusters: &Clusters,
    factor: &Cholesky,
    residual: impl Fn(usize) -> f64,
    small_sample: f64,
) -> Vec<f64> {
    let columns = design.first().map_or(0, |row| row.as_ref().len());
    let mut squares = vec![0.0; columns];
    for cluster in clusters.iter() {
        let mut score = vec![0.0; columns];
        for &i in cluster {
            let residual = residual(i);
            score.iter_mut().zip(design[i].as_ref()).for_each(|(s, x)| *s += x * residual);
        }
        factor.solve(&mut score);
        squares.iter_mut().zip(&score).for_each(|(square, s)| *square += s * s);
    }
    let count = clusters.len() as f64;
    let correction = small_sample * count / (count - 1.0);
    squares.iter().map(|square| (square * correction).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_an_observation_add_nothing_to_what_its_cluster_knows() {
        let values = [1.0, 2.0, 4.0, 9.0];
        let (_, alone) = clustered_mean(&values, &[0, 1, 2, 3]).expect("defined");
        let doubled: Vec<f64> = values.iter().flat_map(|v| [*v, *v]).collect();
        let (_, copied) = clustered_mean(&doubled, &[0, 0, 1, 1, 2, 2, 3, 3]).expect("defined");
        // SD 3.559 / sqrt(4)
        assert!((alone - 1.779_513).abs() < 1e-5 && (copied - alone).abs() < 1e-12);
    }

    #[test]
    fn a_perfect_prediction_has_no_finite_coefficient() {
        let design: Vec<[f64; 2]> = (0..10).map(|i| [1.0, f64::from(i)]).collect();
        let outcomes: Vec<f64> = (0..10).map(|i| f64::from(u8::from(i > 4))).collect();
        let clusters: Vec<usize> = (0..10).collect();
        for outcomes in [outcomes, vec![1.0; 10]] {
            let error = logistic_regression(&design, &outcomes, &clusters);
            assert!(matches!(error, Err(StatsError::Degenerate { .. })), "{error:?}");
        }
    }

    #[test]
    fn columns_that_say_the_same_are_named() {
        let design = vec![[1.0, 2.0]; 5];
        let error = least_squares(&design, &[1.0, 2.0, 3.0, 4.0, 5.0], &[0, 1, 2, 3, 4]);
        assert!(matches!(error, Err(StatsError::Degenerate { .. })));
    }
}
