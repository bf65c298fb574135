//! How often a judge is right, and what its verdicts say about the truth.

use serde::{Deserialize, Serialize};

use crate::Interval;
use crate::error::StatsError;
use crate::interval::critical;

/// A judge's verdicts against labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Label yes, verdict yes.
    pub true_positives: usize,
    /// Label no, verdict yes.
    pub false_positives: usize,
    /// Label no, verdict no.
    pub true_negatives: usize,
    /// Label yes, verdict no.
    pub false_negatives: usize,
}

impl Confusion {
    /// Counts pairs of label and verdict.
    pub fn count(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for (label, verdict) in pairs {
            *match (label, verdict) {
                (true, true) => &mut counts.true_positives,
                (false, true) => &mut counts.false_positives,
                (false, false) => &mut counts.true_negatives,
                (true, false) => &mut counts.false_negatives,
            } += 1;
        }
        counts
    }

    /// Share of yes among labels yes, with Wilson's interval.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without labels yes.
    pub fn sensitivity(&self, confidence: f64) -> Result<Interval, StatsError> {
        let trials = self.true_positives + self.false_negatives;
        Interval::wilson(self.true_positives, trials, confidence)
    }

    /// Share of no among labels no, with Wilson's interval.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without labels no.
    pub fn specificity(&self, confidence: f64) -> Result<Interval, StatsError> {
        let trials = self.true_negatives + self.false_positives;
        Interval::wilson(self.true_negatives, trials, confidence)
    }

    /// The true rate behind `positives` verdicts yes among `judged`, with an interval that holds
    /// the uncertainty of both the rate and the judge.
    ///
    /// The point is Rogan and Gladen's, `(rate + specificity - 1) / (sensitivity + specificity - 1)`,
    /// kept within 0..=1; the interval Lang and Reiczigel's.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without verdicts or labels of either kind; [`StatsError::Undefined`]
    /// for a judge that is no better than chance, from whose verdicts nothing follows.
    ///
    /// # Source
    /// Rogan and Gladen 1978; Lang and Reiczigel 2014, "Confidence limits for prevalence of disease
    /// adjusted for estimated sensitivity and specificity".
    pub fn corrected_rate(
        &self,
        positives: usize,
        judged: usize,
        confidence: f64,
    ) -> Result<Interval, StatsError> {
        let rate = Interval::wilson(positives, judged, confidence)?.estimate;
        let sensitivity = self.sensitivity(confidence)?.estimate;
        let specificity = self.specificity(confidence)?.estimate;
        let informative = sensitivity + specificity - 1.0;
        if informative <= 0.0 {
            let reason = "the judge is no better than chance on the labels";
            return Err(StatsError::Undefined { what: "a corrected rate", reason });
        }
        let estimate = ((rate + specificity - 1.0) / informative).clamp(0.0, 1.0);

        let (n, z) = (judged as f64, critical(confidence)?);
        let yes = (self.true_positives + self.false_negatives) as f64;
        let no = (self.true_negatives + self.false_positives) as f64;
        // Pseudo-counts, so that no share is exactly 0 or 1.
        let p = (positives as f64 + z * z / 2.0) / (n + z * z);
        let se = (self.true_positives as f64 + 1.0) / (yes + 2.0);
        let sp = (self.true_negatives as f64 + 1.0) / (no + 2.0);
        let informative = se + sp - 1.0;
        let centre = (p + sp - 1.0) / informative;
        let (var_se, var_sp) = (se * (1.0 - se) / (yes + 2.0), sp * (1.0 - sp) / (no + 2.0));
        let shift = 2.0 * z * z * (centre * var_se - (1.0 - centre) * var_sp);
        let variance =
            p * (1.0 - p) / (n + z * z) + centre.powi(2) * var_se + (1.0 - centre).powi(2) * var_sp;
        if informative <= 0.0 {
            return Ok(Interval { estimate, low: 0.0, high: 1.0, confidence });
        }
        let half = z * variance.sqrt() / informative;
        let end = |x: f64| x.clamp(0.0, 1.0);
        let (low, high) = (end(centre + shift - half), end(centre + shift + half));
        Ok(Interval { estimate, low: low.min(estimate), high: high.max(estimate), confidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_corrected_for_what_the_judge_gets_wrong() {
        let judge = Confusion {
            true_positives: 90,
            false_negatives: 10,
            true_negatives: 80,
            false_positives: 20,
        };
        // True rate 0.5 gives 0.5 * 0.9 + 0.5 * 0.2 = 0.55.
        let corrected = judge.corrected_rate(550, 1_000, 0.95).expect("defined");
        assert!((corrected.estimate - 0.5).abs() < 1e-12);
        assert!(corrected.contains(0.5));
        let raw = Interval::wilson(550, 1_000, 0.95).expect("defined");
        assert!(corrected.high - corrected.low > raw.high - raw.low, "the judge is uncertain too");
    }

    #[test]
    fn a_coin_corrects_nothing() {
        let coin = Confusion::count([(true, true), (true, false), (false, true), (false, false)]);
        assert!(matches!(coin.corrected_rate(5, 10, 0.95), Err(StatsError::Undefined { .. })));
        let unlabelled = Confusion::default();
        assert!(matches!(unlabelled.corrected_rate(5, 10, 0.95), Err(StatsError::TooFew { .. })));
    }

    #[test]
    fn the_interval_is_that_of_the_formula_worked_out_by_hand() {
        // n = 100, x = 30, 45 of 50 and 47 of 50, z = 1.96: p = (30 + 1.9207) / 103.8415 = 0.307399,
        // se = 46/52, sp = 48/52; centre = 0.285351, shift = -0.003194, half = 0.130847.
        let judge = Confusion {
            true_positives: 45,
            false_negatives: 5,
            true_negatives: 47,
            false_positives: 3,
        };
        let interval = judge.corrected_rate(30, 100, 0.95).expect("defined");
        assert!((interval.estimate - 0.24 / 0.84).abs() < 1e-12);
        assert!((interval.low - 0.151_310_050_5).abs() < 1e-9);
        assert!((interval.high - 0.413_003_357_2).abs() < 1e-9);
    }
}
