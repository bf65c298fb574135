//! Newton's method for the likelihood of ratings.
//!
//! A factored information matrix is used again as long as the gradient keeps shrinking fast: a
//! bootstrap sample starts at the estimate of the whole data with its factor, and mostly never needs
//! one of its own.

use super::comparisons::Counts;
use super::model::Likelihood;
use crate::StatsError;
use crate::linear::{Cholesky, dot};

const MAX_STEPS: usize = 200;

/// Where the iteration is, or ended.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    pub(super) parameters: Vec<f64>,
    pub(super) factor: Option<Cholesky>,
}

impl Solution {
    /// All items alike.
    pub(super) fn start(likelihood: &Likelihood<'_>) -> Self {
        Self { parameters: vec![0.0; likelihood.len()], factor: None }
    }
}

impl Likelihood<'_> {
    /// Climbs from `start` to the maximum, whose existence was checked.
    pub(super) fn maximise(
        &self,
        counts: &[Counts],
        start: &Solution,
    ) -> Result<Solution, StatsError> {
        let not_found =
            StatsError::NoConvergence { what: "the ratings' likelihood", iterations: MAX_STEPS };
        let games: f64 = counts.iter().flatten().sum();
        let mut at = start.clone();
        let mut gradient = self.gradient(counts, &at.parameters);
        let mut size = dot(&gradient, &gradient);
        for _ in 0..MAX_STEPS {
            if size.sqrt() <= 1e-10 * games {
                return Ok(at);
            }
            let exact = at.factor.is_none();
            if exact {
                let information = self.information(counts, &at.parameters);
                at.factor = Cholesky::new(information, self.len());
            }
            let Some(factor) = &at.factor else { return Err(not_found) };
            let mut step = gradient.clone();
            factor.solve(&mut step);
            // Along an exact Newton step the gradient always shrinks at first.
            let mut halvings = 0;
            let (parameters, new_gradient, new_size) = loop {
                let parameters: Vec<f64> =
                    at.parameters.iter().zip(&step).map(|(p, s)| p + s).collect();
                let new_gradient = self.gradient(counts, &parameters);
                let new_size = dot(&new_gradient, &new_gradient);
                if new_size < size || !exact || halvings == 40 {
                    break (parameters, new_gradient, new_size);
                }
                step.iter_mut().for_each(|s| *s /= 2.0);
                halvings += 1;
            };
            if new_size < size {
                let fast = new_size < 0.1 * size;
                (at.parameters, gradient, size) = (parameters, new_gradient, new_size);
                if fast && halvings == 0 {
                    continue;
                }
            } else if exact {
                // Nothing more to gain in floating point.
                let settled = size.sqrt() <= 1e-7 * games;
                return if settled { Ok(at) } else { Err(not_found) };
            }
            at.factor = None;
        }
        Err(not_found)
    }
}
