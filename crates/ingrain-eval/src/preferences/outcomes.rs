//! From judged choices to ratings and their agreement.

use ingrain_judge::{Decision, Verdict};
use ingrain_stats::{
    Bootstrap, Comparison, Comparisons, Interval, Outcome, RatingSample, Ratings, StatsError,
    kendall_tau_b, spearman,
};
use serde::{Deserialize, Serialize};

use super::Schedule;

/// What one model chose under one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferenceOutcomes {
    /// The outcome of each offer of the schedule; `None` where there is no reply or no verdict.
    pub outcomes: Vec<Option<Outcome>>,
}

impl PreferenceOutcomes {
    /// From the decisions on the offers that were judged, by index.
    pub(super) fn new(offers: usize, decided: &[(usize, Decision)]) -> Self {
        let mut outcomes = vec![None; offers];
        for (offer, decision) in decided {
            outcomes[*offer] = match decision.verdict() {
                Some(Verdict::First) => Some(Outcome::First),
                Some(Verdict::Second) => Some(Outcome::Second),
                Some(Verdict::Tie) => Some(Outcome::Tie),
                Some(Verdict::Grade(_)) | None => None,
            };
        }
        Self { outcomes }
    }

    /// Offers without an outcome.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_none()).count()
    }

    /// As comparisons of traits, clustered by message.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] where every offer was dropped.
    pub fn comparisons(&self, schedule: &Schedule) -> Result<Comparisons, StatsError> {
        let games = schedule.offers().iter().zip(&self.outcomes);
        let games = games.filter_map(|(offer, outcome)| {
            Some(Comparison {
                first: offer.first,
                second: offer.second,
                outcome: (*outcome)?,
                cluster: offer.message,
            })
        });
        Comparisons::new(schedule.traits().len(), schedule.messages().len(), games.collect())
    }
}

/// How far two models order the traits alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankAgreement {
    /// Spearman's correlation of the ratings, with the interval over resampled messages.
    pub spearman: Interval,
    /// Kendall's tau-b of the ratings.
    pub kendall: f64,
}

/// Compares the ratings of two models over the same schedule, whose resamples used the same seed.
///
/// # Errors
/// As [`spearman`].
pub fn rank_agreement(
    a: &RatingSample,
    b: &RatingSample,
    bootstrap: &Bootstrap,
) -> Result<RankAgreement, StatsError> {
    let (Ratings { points: of_a, .. }, Ratings { points: of_b, .. }) = (&a.ratings, &b.ratings);
    let estimate = spearman(of_a, of_b)?;
    let both = a.replicates.iter().zip(&b.replicates);
    let both = both.filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?)));
    let mut resampled = both.map(|(a, b)| spearman(a, b)).collect::<Result<Vec<f64>, _>>()?;
    if resampled.is_empty() {
        let (failed, replicates) = (a.replicates.len(), a.replicates.len());
        return Err(StatsError::Replicates { failed, replicates });
    }
    resampled.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - bootstrap.confidence) / 2.0;
    let at = |p: f64| resampled[(p * (resampled.len() - 1) as f64).round() as usize];
    let (low, high) = (at(tail), at(1.0 - tail));
    // Noise in the ratings weakens every resample's correlation, so the estimate may lie above.
    let (low, high) = (low.min(estimate), high.max(estimate));
    let spearman = Interval { estimate, low, high, confidence: bootstrap.confidence };
    Ok(RankAgreement { spearman, kendall: kendall_tau_b(of_a, of_b)? })
}
