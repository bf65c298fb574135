//! Held-out preference: which of two recorded replies a model finds more likely.

use ingrain_chat::{ScoreRequest, Scorer};
use ingrain_data::PreferencePair;

use crate::EvalError;

/// Log-probabilities of one pair under one model, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairScore {
    /// Sum over the chosen reply's tokens.
    pub chosen_total: f64,
    /// Sum over the rejected reply's tokens.
    pub rejected_total: f64,
    /// Mean a token of the chosen reply.
    pub chosen_mean: f64,
    /// Mean a token of the rejected reply.
    pub rejected_mean: f64,
}

impl PairScore {
    /// `log pi(chosen)/|chosen| - log pi(rejected)/|rejected|`, nats a token.
    #[must_use]
    pub fn margin(&self) -> f64 {
        self.chosen_mean - self.rejected_mean
    }
}

/// Scores every pair, end-of-turn tokens included.
///
/// # Errors
/// [`EvalError::Empty`] without pairs; [`EvalError::Score`] naming the pair that could not be scored.
pub fn score_pairs(
    scorer: &dyn Scorer,
    pairs: &[PreferencePair],
) -> Result<Vec<PairScore>, EvalError> {
    if pairs.is_empty() {
        return Err(EvalError::Empty("held-out preference"));
    }
    let mut requests = Vec::with_capacity(pairs.len() * 2);
    for (index, pair) in pairs.iter().enumerate() {
        for (side, messages) in [("chosen", &pair.chosen), ("rejected", &pair.rejected)] {
            let [message] = &messages[..] else {
                let reason = format!("{side} must be one assistant message");
                return Err(EvalError::Pair { index, reason });
            };
            requests.push(ScoreRequest {
                messages: pair.prompt.clone(),
                continuation: message.content.clone(),
            });
        }
    }
    let scores = scorer
        .logprobs(&requests)
        .into_iter()
        .enumerate()
        .map(|(i, score)| {
            score.map_err(|source| EvalError::Score {
                what: format!("held-out pair {}", i / 2),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(scores
        .chunks_exact(2)
        .map(|pair| PairScore {
            chosen_total: pair[0].total(),
            rejected_total: pair[1].total(),
            chosen_mean: pair[0].mean(),
            rejected_mean: pair[1].mean(),
        })
        .collect())
}

/// Share of pairs with a positive margin, in 0..=1.
#[must_use]
pub fn accuracy(scores: &[PairScore]) -> f64 {
    let wins = scores.iter().filter(|s| s.margin() > 0.0).count();
    wins as f64 / scores.len().max(1) as f64
}

/// Mean margin, nats a token.
#[must_use]
pub fn margin(scores: &[PairScore]) -> f64 {
    scores.iter().map(PairScore::margin).sum::<f64>() / scores.len().max(1) as f64
}

/// Mean of `beta * ((log pi/ref of chosen) - (log pi/ref of rejected))` over summed
/// log-probabilities: DPO's implicit reward margin.
///
/// Source: Rafailov et al. 2023, arXiv:2305.18290, section 4.
#[must_use]
pub fn implicit_reward_margin(policy: &[PairScore], reference: &[PairScore], beta: f64) -> f64 {
    let total: f64 = policy
        .iter()
        .zip(reference)
        .map(|(p, r)| (p.chosen_total - r.chosen_total) - (p.rejected_total - r.rejected_total))
        .sum();
    beta * total / policy.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(chosen: f64, rejected: f64) -> PairScore {
        PairScore {
            chosen_total: chosen * 10.0,
            rejected_total: rejected * 10.0,
            chosen_mean: chosen,
            rejected_mean: rejected,
        }
    }

    #[test]
    fn accuracy_counts_positive_margins_and_margin_averages_them() {
        let scores = [score(-1.0, -2.0), score(-3.0, -2.5)];
        assert_eq!(accuracy(&scores), 0.5);
        assert!((margin(&scores) - 0.25).abs() < 1e-12, "(1.0 - 0.5) / 2");
    }

    #[test]
    fn reward_margin_is_zero_when_policy_equals_reference() {
        let scores = [score(-1.0, -2.0), score(-3.0, -2.5)];
        assert_eq!(implicit_reward_margin(&scores, &scores, 0.1), 0.0);
        // Chosen up by 10 nats, rejected unchanged: 0.1 * 10.
        let moved = [score(0.0, -2.0)];
        assert!((implicit_reward_margin(&moved, &scores[..1], 0.1) - 1.0).abs() < 1e-12);
    }
}
