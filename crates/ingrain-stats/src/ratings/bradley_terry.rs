//! Bradley-Terry and Davidson ratings by maximum likelihood.

use serde::{Deserialize, Serialize};

use super::model::Likelihood;
use super::solver::Solution;
use super::{Comparisons, POINTS_PER_NAT};
use crate::StatsError;

/// What a tie says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Half a win for either side.
    #[default]
    HalfWins,
    /// An outcome with a probability of its own, Davidson's `nu sqrt(p_i p_j)`.
    Davidson,
}

/// Ratings by maximum likelihood: `P(i beats j) = p_i / (p_i + p_j)`, or with [`Ties::Davidson`]
/// `p_i / (p_i + p_j + nu sqrt(p_i p_j))`.
///
/// Sequential Elo depends on the order of the games and keeps only the last few of them; this uses
/// them all alike.
///
/// # Source
/// Bradley and Terry 1952; Davidson 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BradleyTerry {
    /// What a tie says.
    pub ties: Ties,
    /// Games against a virtual item of rating 0 that each item half wins and half loses. 0, the
    /// default, is plain maximum likelihood, which is an error where it does not exist; above 0
    /// every rating is finite, and drawn towards 0.
    pub prior: f64,
}

/// Ratings on the Elo scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratings {
    /// Points above the mean of all items; 400 are odds of ten to one.
    pub points: Vec<f64>,
    /// Davidson's `nu`: how likely a tie between equals is, against either winning. 0 where ties
    /// are half wins.
    pub tie_parameter: f64,
    /// Log-likelihood of the comparisons, in nats.
    pub log_likelihood: f64,
}

impl BradleyTerry {
    /// With ties as an outcome of their own.
    #[must_use]
    pub fn davidson() -> Self {
        Self { ties: Ties::Davidson, prior: 0.0 }
    }

    /// The most likely ratings.
    ///
    /// # Errors
    /// [`StatsError::Separable`] or [`StatsError::TiesSeparable`] where no finite rating is most
    /// likely; [`StatsError::OutOfRange`] for a negative prior.
    pub fn fit(&self, comparisons: &Comparisons) -> Result<Ratings, StatsError> {
        Ok(self.solve(comparisons)?.0)
    }

    /// The ratings with the state of the solver, for resamples and standard errors.
    pub(super) fn solve(
        &self,
        comparisons: &Comparisons,
    ) -> Result<(Ratings, Solution), StatsError> {
        if !self.prior.is_finite() || self.prior < 0.0 {
            let range = "0 and above";
            return Err(StatsError::OutOfRange { name: "prior", value: self.prior, range });
        }
        let likelihood = self.likelihood(comparisons);
        let counts = comparisons.counts();
        likelihood.check(&counts)?;
        let mut solution = likelihood.maximise(&counts, &Solution::start(&likelihood))?;
        let information = likelihood.information(&counts, &solution.parameters);
        solution.factor = crate::linear::Cholesky::new(information, likelihood.len());
        let ratings = Ratings {
            points: centred_points(&solution.parameters[..comparisons.items()]),
            tie_parameter: likelihood.roots(&solution.parameters).1,
            log_likelihood: likelihood.log_likelihood(&counts, &solution.parameters),
        };
        Ok((ratings, solution))
    }

    pub(super) fn likelihood<'a>(&self, comparisons: &'a Comparisons) -> Likelihood<'a> {
        Likelihood::new(self, comparisons.items(), &comparisons.pairs)
    }
}

/// Nats to points above the mean.
pub(super) fn centred_points(nats: &[f64]) -> Vec<f64> {
    let mean = nats.iter().sum::<f64>() / nats.len().max(1) as f64;
    nats.iter().map(|rating| (rating - mean) * POINTS_PER_NAT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Comparison, Outcome};

    fn games(items: usize, list: &[(usize, usize, Outcome, usize)]) -> Comparisons {
        let mut all = Vec::new();
        for &(first, second, outcome, times) in list {
            all.extend((0..times).map(|_| Comparison { first, second, outcome, cluster: 0 }));
        }
        Comparisons::new(items, 1, all).expect("valid")
    }

    #[test]
    fn two_items_are_log_odds_apart_whichever_is_named_first() {
        let named = games(2, &[(0, 1, Outcome::First, 30), (1, 0, Outcome::First, 10)]);
        let ratings = BradleyTerry::default().fit(&named).expect("fits");
        // 400 log10(3) / 2 to either side.
        assert!((ratings.points[0] - 95.424_25).abs() < 1e-4);
        assert!((ratings.points[1] + 95.424_25).abs() < 1e-4);
        // 30 ln(3/4) + 10 ln(1/4)
        assert!((ratings.log_likelihood + 22.493_406).abs() < 1e-5);
    }

    #[test]
    fn davidson_recovers_the_shares_of_two_items() {
        let counted =
            [(0, 1, Outcome::First, 40), (0, 1, Outcome::Second, 10), (0, 1, Outcome::Tie, 40)];
        let ratings = BradleyTerry::davidson().fit(&games(2, &counted)).expect("fits");
        // A saturated model: p_0/p_1 = 4 and nu = 40 / sqrt(40 * 10) = 2.
        assert!((ratings.tie_parameter - 2.0).abs() < 1e-7);
        assert!((ratings.points[0] - ratings.points[1] - 400.0 * 4f64.log10()).abs() < 1e-5);
    }

    #[test]
    fn an_unbeaten_item_is_named_and_a_prior_makes_it_finite() {
        let list =
            [(0, 1, Outcome::First, 5), (1, 2, Outcome::First, 5), (2, 1, Outcome::First, 5)];
        let unbeaten = games(3, &list);
        let error = BradleyTerry::default().fit(&unbeaten).expect_err("separable");
        assert_eq!(error, StatsError::Separable { group: vec![0] });
        let ratings =
            BradleyTerry { prior: 1.0, ..Default::default() }.fit(&unbeaten).expect("finite");
        assert!(ratings.points[0] > 100.0 && ratings.points[0] < 2_000.0);
    }

    #[test]
    fn an_item_that_never_played_is_named() {
        let two = [(0, 1, Outcome::First, 5), (1, 0, Outcome::First, 5)];
        let error = BradleyTerry::default().fit(&games(3, &two)).expect_err("disconnected");
        assert_eq!(error, StatsError::Separable { group: vec![2] });
    }

    #[test]
    fn ties_without_a_finite_parameter_are_named() {
        let none = [(0, 1, Outcome::First, 5), (1, 0, Outcome::First, 5)];
        let never_lost = [(0, 1, Outcome::First, 5), (0, 1, Outcome::Tie, 5)];
        for list in [&none[..], &never_lost] {
            let error = BradleyTerry::davidson().fit(&games(2, list)).expect_err("no maximum");
            assert!(matches!(error, StatsError::TiesSeparable { .. }), "{error}");
        }
        // Won, tied and lost in a ring: three wins outnumber no tie.
        let ring = [
            (0, 1, Outcome::First, 1),
            (1, 2, Outcome::First, 1),
            (2, 0, Outcome::First, 1),
            (0, 1, Outcome::Tie, 1),
        ];
        assert!(BradleyTerry::davidson().fit(&games(3, &ring)).is_ok());
    }
}
