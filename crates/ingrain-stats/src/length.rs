//! Win rates that do not reward length.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, same_length};
use crate::interval::critical;
use crate::regression::logistic_regression;
use crate::{Interval, Regression};

/// A win rate as it is, and as it would be at equal length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LengthControlled {
    /// Share of wins, ties counting half.
    pub raw: f64,
    /// The same if both replies were equally long.
    pub controlled: Interval,
    /// Log-odds that a reply gains by being longer by one standard deviation of the differences
    /// (saturating, as `tanh`).
    pub length_effect: Interval,
}

/// The length-controlled win rate of one side over another.
///
/// `won` holds 1 for a win, 0 for a loss, 0.5 for a tie; `longer_by` how much longer the side's reply
/// was, in any unit; `clusters` the prompt of each comparison. The model is
/// `logit P(win) = a + b tanh(longer_by / SD)`, and the controlled rate is `P` at equal length.
///
/// # Errors
/// As [`logistic_regression`](crate::logistic_regression): where one side always wins there is nothing
/// to control.
///
/// # Source
/// Dubois et al. 2024, arXiv:2404.04475, eq. 2, without the term for the instruction's difficulty.
pub fn length_controlled_win_rate<L: std::hash::Hash + Eq>(
    won: &[f64],
    longer_by: &[f64],
    clusters: &[L],
    confidence: f64,
) -> Result<LengthControlled, StatsError> {
    same_length("a length-controlled win rate", won.len(), longer_by.len())?;
    let z = critical(confidence)?;
    let n = longer_by.len().max(1) as f64;
    let mean = longer_by.iter().sum::<f64>() / n;
    let spread = (longer_by.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt();
    if spread == 0.0 {
        let reason = "all length differences are the same";
        return Err(StatsError::Degenerate { what: "a length-controlled win rate", reason });
    }
    let design: Vec<[f64; 2]> = longer_by.iter().map(|d| [1.0, (d / spread).tanh()]).collect();
    let Regression { coefficients, standard_errors } = logistic_regression(&design, won, clusters)?;
    let rate = |log_odds: f64| 1.0 / (1.0 + (-log_odds).exp());
    let (centre, half) = (coefficients[0], z * standard_errors[0]);
    let controlled = Interval {
        estimate: rate(centre),
        low: rate(centre - half),
        high: rate(centre + half),
        confidence,
    };
    let length_effect = Interval::normal(coefficients[1], standard_errors[1], confidence)?;
    Ok(LengthControlled { raw: won.iter().sum::<f64>() / n, controlled, length_effect })
}
