//! How strange a reply is to a classifier.

use ingrain_stats::softmax;
use serde::{Deserialize, Serialize};

/// A measure of strangeness, from logits alone; higher is stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OodScore {
    /// 1 less the largest probability. Hendrycks and Gimpel 2017, arXiv:1610.02136.
    MaxProbability,
    /// Entropy of the probabilities, in nats.
    Entropy,
    /// `-T ln sum(exp(z / T))`, the free energy of the logits. Liu et al. 2020, arXiv:2010.03759.
    Energy,
}

impl OodScore {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MaxProbability, Self::Entropy, Self::Energy];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxProbability => "1 - largest probability",
            Self::Entropy => "entropy",
            Self::Energy => "free energy",
        }
    }

    /// The strangeness of a text with these logits, under a temperature.
    #[must_use]
    pub fn of(self, logits: &[f64], temperature: f64) -> f64 {
        match self {
            Self::MaxProbability => {
                1.0 - softmax(logits, temperature).into_iter().fold(0.0, f64::max)
            }
            Self::Entropy => {
                let surprise = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
                softmax(logits, temperature).into_iter().map(surprise).sum()
            }
            Self::Energy => {
                let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.iter().map(|z| ((z - largest) / temperature).exp()).sum();
                -largest - temperature * sum.ln()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_their_formulas() {
        // Probabilities 3/4 and 1/4.
        let logits = [3_f64.ln(), 0.0];
        assert!((OodScore::MaxProbability.of(&logits, 1.0) - 0.25).abs() < 1e-12);
        let entropy = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        assert!((OodScore::Entropy.of(&logits, 1.0) - entropy).abs() < 1e-12);
        assert!((OodScore::Energy.of(&logits, 1.0) + 4_f64.ln()).abs() < 1e-12);
        // T = 2: -2 ln(sqrt 3 + 1).
        let warm = -2.0 * (3_f64.sqrt() + 1.0).ln();
        assert!((OodScore::Energy.of(&logits, 2.0) - warm).abs() < 1e-12);
    }

    #[test]
    fn small_logits_are_stranger_than_large_ones() {
        for score in OodScore::ALL {
            assert!(score.of(&[0.1, 0.0, 0.0], 1.0) > score.of(&[9.0, 0.0, 0.0], 1.0));
        }
    }
}
