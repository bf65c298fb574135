//! The log-likelihood of ratings: its gradient and its curvature.
//!
//! Parameters are one rating an item in nats and, with Davidson's ties, the logarithm of the tie
//! parameter at the end.

use super::bradley_terry::{BradleyTerry, Ties};
use super::comparisons::Counts;

/// A likelihood for fixed items and pairs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Likelihood<'a> {
    pub(super) items: usize,
    pub(super) pairs: &'a [[usize; 2]],
    pub(super) davidson: bool,
    pub(super) prior: f64,
}

/// Probabilities of a pair's three outcomes.
pub(super) struct Chances {
    pub(super) first: f64,
    pub(super) second: f64,
    pub(super) tie: f64,
}

impl<'a> Likelihood<'a> {
    pub(super) fn new(model: &BradleyTerry, items: usize, pairs: &'a [[usize; 2]]) -> Self {
        Self { items, pairs, davidson: model.ties == Ties::Davidson, prior: model.prior }
    }

    /// Number of parameters.
    pub(super) fn len(&self) -> usize {
        self.items + usize::from(self.davidson)
    }

    /// `exp(rating / 2)` of every item and the tie parameter (0 where ties are half wins).
    pub(super) fn roots(&self, parameters: &[f64]) -> (Vec<f64>, f64) {
        let roots = parameters[..self.items].iter().map(|rating| (rating / 2.0).exp()).collect();
        (roots, if self.davidson { parameters[self.items].exp() } else { 0.0 })
    }

    /// Outcome probabilities of a pair with these roots.
    pub(super) fn chances(&self, first: f64, second: f64, tie: f64) -> Chances {
        let (a, b, c) = (first * first, second * second, tie * first * second);
        let total = a + b + c;
        Chances { first: a / total, second: b / total, tie: c / total }
    }

    /// The gradient of the log-likelihood.
    pub(super) fn gradient(&self, counts: &[Counts], parameters: &[f64]) -> Vec<f64> {
        let mut gradient = vec![0.0; self.len()];
        let (roots, tie) = self.roots(parameters);
        let mut ties = 0.0;
        for (&[i, j], &[wins, losses, drawn]) in self.pairs.iter().zip(counts) {
            let games = wins + losses + drawn;
            if games > 0.0 {
                let chances = self.chances(roots[i], roots[j], tie);
                let surplus = wins + drawn / 2.0 - games * (chances.first + chances.tie / 2.0);
                gradient[i] += surplus;
                gradient[j] -= surplus;
                ties += drawn - games * chances.tie;
            }
        }
        if self.davidson {
            gradient[self.items] = ties;
        }
        for (gradient, root) in gradient.iter_mut().zip(&roots) {
            *gradient += self.prior * (0.5 - 1.0 / (1.0 + 1.0 / (root * root)));
        }
        gradient
    }

    /// The negative Hessian, row-major. Without a prior, ratings are only known up to a constant;
    /// a term along that direction makes the matrix definite and changes nothing else.
    pub(super) fn information(&self, counts: &[Counts], parameters: &[f64]) -> Vec<f64> {
        let (n, items) = (self.len(), self.items);
        let mut h = vec![0.0; n * n];
        let (roots, tie) = self.roots(parameters);
        for (&[i, j], counts) in self.pairs.iter().zip(counts) {
            let games: f64 = counts.iter().sum();
            if games == 0.0 {
                continue;
            }
            let p = self.chances(roots[i], roots[j], tie);
            let (first, second) = (p.first + p.tie / 2.0, p.second + p.tie / 2.0);
            let across = games * (p.tie / 4.0 - first * second);
            h[i * n + i] -= across;
            h[j * n + j] -= across;
            h[i * n + j] += across;
            h[j * n + i] += across;
            if self.davidson {
                let with_tie = games * p.tie * (0.5 - first);
                h[items * n + i] += with_tie;
                h[i * n + items] += with_tie;
                h[items * n + j] -= with_tie;
                h[j * n + items] -= with_tie;
                h[items * n + items] += games * p.tie * (1.0 - p.tie);
            }
        }
        let level = (0..items).map(|i| h[i * n + i]).sum::<f64>() / (items * items) as f64;
        for (i, root) in roots.iter().enumerate() {
            if self.prior > 0.0 {
                let win = 1.0 / (1.0 + 1.0 / (root * root));
                h[i * n + i] += self.prior * win * (1.0 - win);
            } else {
                h[i * n..i * n + items].iter_mut().for_each(|entry| *entry += level);
            }
        }
        h
    }

    /// The log-likelihood, in nats, without the prior.
    pub(super) fn log_likelihood(&self, counts: &[Counts], parameters: &[f64]) -> f64 {
        let (roots, tie) = self.roots(parameters);
        let term = |count: f64, p: f64| if count > 0.0 { count * p.ln() } else { 0.0 };
        let pair = |(&[i, j], &[wins, losses, drawn]): (&[usize; 2], &Counts)| {
            let p = self.chances(roots[i], roots[j], tie);
            if self.davidson {
                term(wins, p.first) + term(losses, p.second) + term(drawn, p.tie)
            } else {
                term(wins + drawn / 2.0, p.first) + term(losses + drawn / 2.0, p.second)
            }
        };
        self.pairs.iter().zip(counts).map(pair).sum()
    }
}
