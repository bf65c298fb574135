//! Logistic regression over several classes, for many sparse columns.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calibration::softmax;
use crate::error::{StatsError, at_least, finite, same_length};
use crate::linear::dot;

/// Changes that the solver remembers to estimate curvature from.
const MEMORY: usize = 10;

/// A row of a design as its entries that are not 0: column and value.
pub type SparseRow = Vec<(usize, f64)>;

/// Multinomial logistic regression with a ridge penalty:
/// the weights that minimise `mean(-ln softmax(W x + b)[class]) + l2 / 2 |W|^2`.
///
/// # Examples
/// ```
/// use ingrain_stats::SoftmaxRegression;
///
/// let rows = [vec![(0, 1.0)], vec![(1, 1.0)], vec![(0, 1.0), (1, 0.2)], vec![(1, 0.9)]];
/// let fit = SoftmaxRegression::default().fit(&rows, &[0, 1, 0, 1], 2, 2)?;
/// let logits = fit.logits(&[(0, 0.8)]);
/// assert!(logits[0] > logits[1]);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftmaxRegression {
    /// Weight of the penalty, above 0; it is not put on intercepts. Default 1e-3.
    pub l2: f64,
    /// Steps after which the solver stops in any case. Default 200.
    pub max_iterations: usize,
    /// Largest entry of the gradient at which it is done. Default 1e-5.
    pub tolerance: f64,
}

impl Default for SoftmaxRegression {
    fn default() -> Self {
        Self { l2: 1e-3, max_iterations: 200, tolerance: 1e-5 }
    }
}

/// What [`SoftmaxRegression`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoftmaxFit {
    /// `weights[class][column]`.
    pub weights: Vec<Vec<f64>>,
    /// One a class.
    pub intercepts: Vec<f64>,
}

impl SoftmaxFit {
    /// A logit for each class. Columns that the fit has not seen count nothing.
    #[must_use]
    pub fn logits(&self, row: &[(usize, f64)]) -> Vec<f64> {
        let score = |weights: &Vec<f64>| -> f64 {
            row.iter().filter_map(|&(column, x)| Some(weights.get(column)? * x)).sum()
        };
        self.weights.iter().zip(&self.intercepts).map(|(w, b)| score(w) + b).collect()
    }
}

impl SoftmaxRegression {
    /// Fits rows of `columns` columns to their `truths`, numbered below `classes`.
    ///
    /// The solver is L-BFGS; the result does not depend on the number of threads. If it has not settled
    /// after [`max_iterations`](Self::max_iterations), what it has is returned: the penalised mean falls
    /// with every step.
    ///
    /// # Errors
    /// [`StatsError::Lengths`]; [`StatsError::TooFew`] without rows; [`StatsError::NotFinite`];
    /// [`StatsError::OutOfRange`] for a class, a column or a penalty out of its range.
    ///
    /// # Source
    /// Liu and Nocedal 1989, algorithm 2.1; the objective is that of scikit-learn's `LogisticRegression`
    /// with `C = 1 / (l2 n)`, divided by `C n`.
    pub fn fit(
        &self,
        rows: &[SparseRow],
        truths: &[usize],
        classes: usize,
        columns: usize,
    ) -> Result<SoftmaxFit, StatsError> {
        self.check(rows, truths, classes, columns)?;
        let problem = Problem { rows, truths, classes, columns, l2: self.l2 };
        let mut at = vec![0.0; classes * (columns + 1)];
        let (mut cost, mut gradient) = problem.cost_and_gradient(&at);
        let mut memory: Vec<Change> = Vec::new();
        for _ in 0..self.max_iterations {
            if gradient.iter().all(|g| g.abs() <= self.tolerance) {
                break;
            }
            let direction = descent(&gradient, &memory);
            let Some((next, next_cost, next_gradient)) =
                problem.search(&at, cost, &gradient, &direction)
            else {
                break;
            };
            let step: Vec<f64> = next.iter().zip(&at).map(|(a, b)| a - b).collect();
            let change: Vec<f64> =
                next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
            let curvature = dot(&step, &change);
            if curvature > 0.0 {
                if memory.len() == MEMORY {
                    memory.remove(0);
                }
                memory.push(Change { step, gradient: change, curvature });
            }
            (at, cost, gradient) = (next, next_cost, next_gradient);
        }
        let mut fit = SoftmaxFit { weights: Vec::new(), intercepts: Vec::new() };
        for class in at.chunks_exact(columns + 1) {
            let (weights, intercept) = class.split_at(columns);
            fit.weights.push(weights.to_vec());
            fit.intercepts.extend(intercept);
        }
        Ok(fit)
    }

    fn check(
        &self,
        rows: &[SparseRow],
        truths: &[usize],
        classes: usize,
        columns: usize,
    ) -> Result<(), StatsError> {
        let what = "softmax regression";
        same_length(what, rows.len(), truths.len())?;
        at_least(what, 1, rows.len())?;
        let range = "a finite number above 0";
        if !(self.l2 > 0.0 && self.l2.is_finite()) {
            return Err(StatsError::OutOfRange { name: "l2", value: self.l2, range });
        }
        let outside = |name, value: usize, range| {
            Err(StatsError::OutOfRange { name, value: value as f64, range })
        };
        if let Some(&class) = truths.iter().find(|&&class| class >= classes) {
            return outside("a class", class, "0 to below the number of classes");
        }
        for row in rows {
            if let Some(&(column, _)) = row.iter().find(|(column, _)| *column >= columns) {
                return outside("a column", column, "0 to below the number of columns");
            }
            finite(what, &row.iter().map(|(_, x)| *x).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// A step of the solver and what it did to the gradient.
struct Change {
    step: Vec<f64>,
    gradient: Vec<f64>,
    /// Their product, above 0.
    curvature: f64,
}

/// Against the gradient, corrected by what the remembered steps say about curvature.
fn descent(gradient: &[f64], memory: &[Change]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for change in memory.iter().rev() {
        let share = dot(&change.step, &direction) / change.curvature;
        direction.iter_mut().zip(&change.gradient).for_each(|(d, g)| *d -= share * g);
        shares.push(share);
    }
    if let Some(last) = memory.last() {
        let scale = last.curvature / dot(&last.gradient, &last.gradient);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (change, share) in memory.iter().zip(shares.into_iter().rev()) {
        let correction = share - dot(&change.gradient, &direction) / change.curvature;
        direction.iter_mut().zip(&change.step).for_each(|(d, s)| *d += correction * s);
    }
    direction
}

struct Problem<'a> {
    rows: &'a [SparseRow],
    truths: &'a [usize],
    classes: usize,
    columns: usize,
    l2: f64,
}

impl Problem<'_> {
    /// `at` holds the weights of a class and its intercept, class after class.
    fn cost_and_gradient(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let stride = self.columns + 1;
        let n = self.rows.len() as f64;
        let logits = |row: &SparseRow| -> Vec<f64> {
            let class = |weights: &[f64]| {
                row.iter().map(|&(column, x)| weights[column] * x).sum::<f64>()
                    + weights[self.columns]
            };
            at.chunks_exact(stride).map(class).collect()
        };
        let shares: Vec<Vec<f64>> =
            self.rows.par_iter().map(|row| softmax(&logits(row), 1.0)).collect();
        let loss: f64 = shares
            .iter()
            .zip(self.truths)
            .map(|(p, &truth)| -p[truth].max(f64::MIN_POSITIVE).ln())
            .sum();
        let mut gradient = vec![0.0; self.classes * stride];
        gradient.par_chunks_exact_mut(stride).enumerate().for_each(|(class, gradient)| {
            for ((row, p), &truth) in self.rows.iter().zip(&shares).zip(self.truths) {
                let error = (p[class] - f64::from(u8::from(truth == class))) / n;
                row.iter().for_each(|&(column, x)| gradient[column] += error * x);
                gradient[self.columns] += error;
            }
            let weights = &at[class * stride..][..self.columns];
            gradient.iter_mut().zip(weights).for_each(|(g, w)| *g += self.l2 * w);
        });
        let squares: f64 = at
            .chunks_exact(stride)
            .map(|row| dot(&row[..self.columns], &row[..self.columns]))
            .sum();
        (loss / n + self.l2 / 2.0 * squares, gradient)
    }

    /// The first of ever shorter steps that lowers the cost enough; `None` at the end of precision.
    fn search(
        &self,
        at: &[f64],
        cost: f64,
        gradient: &[f64],
        direction: &[f64],
    ) -> Option<(Vec<f64>, f64, Vec<f64>)> {
        let slope = dot(gradient, direction);
        let mut length = 1.0;
        for _ in 0..40 {
            let next: Vec<f64> = at.iter().zip(direction).map(|(a, d)| a + length * d).collect();
            let (found, next_gradient) = self.cost_and_gradient(&next);
            if found <= cost + 1e-4 * length * slope {
                return Some((next, found, next_gradient));
            }
            length /= 2.0;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_and_one_column_have_the_slope_of_the_stationary_point() {
        // x = 1 for class 1, x = -1 for class 0: by symmetry b = 0 and w1 = -w0 = w, where
        // 1 / (1 + e^{2w}) = l2 w. For l2 = 0.1: w = 0.908617...
        let rows = [vec![(0, 1.0)], vec![(0, -1.0)]];
        let model = SoftmaxRegression { l2: 0.1, tolerance: 1e-12, ..Default::default() };
        let fit = model.fit(&rows, &[1, 0], 2, 1).expect("valid");
        let w = fit.weights[1][0];
        assert!((1.0 / (1.0 + (2.0 * w).exp()) - 0.1 * w).abs() < 1e-9, "{w}");
        assert!((fit.weights[0][0] + w).abs() < 1e-9);
        assert!(fit.intercepts.iter().all(|b| b.abs() < 1e-9));
    }

    #[test]
    fn without_columns_the_intercepts_are_the_shares_of_the_classes() {
        let rows = vec![Vec::new(); 4];
        let model = SoftmaxRegression { tolerance: 1e-12, ..Default::default() };
        let fit = model.fit(&rows, &[0, 0, 0, 1], 2, 1).expect("valid");
        let p = softmax(&fit.logits(&[]), 1.0);
        assert!((p[0] - 0.75).abs() < 1e-9, "{p:?}");
    }

    #[test]
    fn impossible_inputs_are_named() {
        let model = SoftmaxRegression::default();
        let rows = [vec![(3, 1.0)]];
        assert!(matches!(model.fit(&rows, &[0], 1, 2), Err(StatsError::OutOfRange { .. })));
        assert!(matches!(model.fit(&rows, &[2], 1, 4), Err(StatsError::OutOfRange { .. })));
        assert!(matches!(model.fit(&rows, &[], 1, 4), Err(StatsError::Lengths { .. })));
        let unpenalised = SoftmaxRegression { l2: 0.0, ..model };
        assert!(matches!(unpenalised.fit(&rows, &[0], 1, 4), Err(StatsError::OutOfRange { .. })));
    }
}
