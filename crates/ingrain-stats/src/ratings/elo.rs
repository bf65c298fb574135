//! Sequential Elo, for comparison with what others report.

use serde::{Deserialize, Serialize};

use super::{Comparisons, Outcome};

/// Elo's update, game after game.
///
/// The result depends on the order of the games, and its noise does not shrink with their number:
/// with `k = 32` a rating keeps a standard deviation of about 56 points. Report
/// [`BradleyTerry`](crate::BradleyTerry).
///
/// # Source
/// Elo 1978, with base 10 and scale 400.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elo {
    /// Points at stake in a game. Default 32 (paper).
    pub k: f64,
    /// Rating before the first game. Default 0: points above the mean, as everywhere here.
    pub start: f64,
}

impl Default for Elo {
    fn default() -> Self {
        Self { k: 32.0, start: 0.0 }
    }
}

impl Elo {
    /// Ratings after all comparisons, in the order given.
    #[must_use]
    pub fn rate(&self, comparisons: &Comparisons) -> Vec<f64> {
        let mut points = vec![self.start; comparisons.items()];
        for game in comparisons.as_slice() {
            let gap = points[game.second] - points[game.first];
            let expected = 1.0 / (1.0 + 10_f64.powf(gap / 400.0));
            let scored = match game.outcome {
                Outcome::First => 1.0,
                Outcome::Second => 0.0,
                Outcome::Tie => 0.5,
            };
            points[game.first] += self.k * (scored - expected);
            points[game.second] -= self.k * (scored - expected);
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Comparison;

    #[test]
    fn a_win_between_equals_moves_half_of_k_and_the_next_one_less() {
        let win = Comparison { first: 0, second: 1, outcome: Outcome::First, cluster: 0 };
        let games = Comparisons::new(2, 1, vec![win, win]).expect("valid");
        let points = Elo::default().rate(&games);
        // 16, then 32 * (1 - 1 / (1 + 10^(-32/400))) = 14.5305
        assert!((points[0] - 30.530_504).abs() < 1e-5, "{points:?}");
        assert!((points[0] + points[1]).abs() < 1e-12);
    }
}
