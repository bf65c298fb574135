//! Figures about a batch, from the log-probabilities alone.

use burn::tensor::Tensor;
use ingrain_train::Metrics;

use crate::{DpoError, LossOutput, PairLogps};

/// What to report about preference pairs, whatever the loss.
///
/// Names and meanings, each a mean over pairs:
///
/// - `reward_chosen`, `reward_rejected`: `beta * (log pi - log ref)`, summed over tokens (without a
///   reference, `beta * log pi`);
/// - `margin`: their difference; `accuracy`: the share of pairs where it is above zero;
/// - `logp_chosen`, `logp_rejected`: `log pi` a token; `nll`: minus the first;
/// - `tokens_chosen`, `tokens_rejected`: completion tokens a pair;
/// - `kl`: divergence from the reference a token, over the whole vocabulary, where a loss asks for it;
/// - `loss_<term>`: the unweighted terms of a sum.
///
/// Source of the implicit reward: Rafailov et al. 2023, arXiv:2305.18290, section 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PreferenceMetrics {
    /// Scale of the implicit reward.
    pub beta: f64,
}

impl PreferenceMetrics {
    /// Measures a batch; reads all values back from the device in one go.
    ///
    /// # Errors
    /// [`DpoError::Device`] if they cannot be read.
    pub fn measure(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
        output: &LossOutput,
    ) -> Result<Metrics, DpoError> {
        let policy = policy.untracked();
        let pairs = policy.chosen.pairs();
        let anchored = |side: Tensor<1>, reference: Option<Tensor<1>>| match reference {
            Some(reference) => side - reference,
            None => side,
        };
        let mut columns = vec![
            anchored(policy.chosen.sum(), reference.map(|r| r.chosen.sum())),
            anchored(policy.rejected.sum(), reference.map(|r| r.rejected.sum())),
            policy.chosen.mean(),
            policy.rejected.mean(),
            policy.chosen.lengths(),
            policy.rejected.lengths(),
        ];
        let divergence = [&policy.chosen, &policy.rejected].map(|side| side.mean_divergence());
        let divergences = divergence.iter().flatten().count();
        columns.extend(divergence.into_iter().flatten());
        columns.extend(output.parts.iter().map(|(_, part)| part.clone().inner()));
        let values = Tensor::cat(columns, 0)
            .try_to_vec_as::<f32>()
            .map_err(|e| DpoError::Device { what: "metrics", reason: e.to_string() })?;
        let columns: Vec<&[f32]> = values.chunks(pairs.max(1)).collect();
        let mut metrics = Metrics::default();
        let mut add = |name: &str, sum: f64| metrics.add(name, sum, pairs as f64);
        let sum = |column: usize| columns[column].iter().map(|&x| f64::from(x)).sum::<f64>();
        let (chosen, rejected) = (self.beta * sum(0), self.beta * sum(1));
        let won = columns[0].iter().zip(columns[1]).filter(|(c, r)| c > r).count();
        add("reward_chosen", chosen);
        add("reward_rejected", rejected);
        add("margin", chosen - rejected);
        add("accuracy", won as f64);
        add("logp_chosen", sum(2));
        add("logp_rejected", sum(3));
        add("nll", -sum(2));
        add("tokens_chosen", sum(4));
        add("tokens_rejected", sum(5));
        if divergences == 2 {
            add("kl", f64::midpoint(sum(6), sum(7)));
        }
        for (index, (name, _)) in output.parts.iter().enumerate() {
            add(&format!("loss_{name}"), sum(6 + divergences + index));
        }
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dpo, Nll, PreferenceLoss, TokenLogps, WeightedSum};
    use burn::tensor::Device;

    fn rows(rows: &[Vec<f32>]) -> TokenLogps {
        TokenLogps::from_rows(rows, &Device::flex())
    }

    #[test]
    fn figures_follow_from_the_log_probabilities() {
        let policy = PairLogps {
            chosen: rows(&[vec![-1.0, -2.0], vec![-4.0]]),
            rejected: rows(&[vec![-3.0], vec![-1.0, -1.0]]),
        };
        let reference = PairLogps {
            chosen: rows(&[vec![-2.0, -3.0], vec![-3.0]]),
            rejected: rows(&[vec![-2.0], vec![-2.0, -2.0]]),
        };
        let loss = WeightedSum::new().with("dpo", 1.0, Dpo::default()).with("nll", 0.1, Nll {});
        let output = loss.forward(&policy, Some(&reference)).expect("a reference is there");
        let metrics = PreferenceMetrics { beta: 0.5 };
        let means = metrics.measure(&policy, Some(&reference), &output).expect("readable").means();
        // Log-ratios: chosen 2 and -1, rejected -1 and 2.
        assert_eq!(means["reward_chosen"], 0.25);
        assert_eq!(means["reward_rejected"], 0.25);
        assert_eq!(means["margin"], 0.0);
        assert_eq!(means["accuracy"], 0.5);
        assert_eq!(means["logp_chosen"], -2.75);
        assert_eq!(means["nll"], 2.75);
        assert_eq!(means["logp_rejected"], -2.0);
        assert_eq!(means["tokens_chosen"], 1.5);
        assert_eq!(means["loss_nll"], 2.75);
        assert!(means["loss_dpo"] > 0.0);
    }

    #[test]
    fn without_a_reference_the_policy_s_own_log_probability_is_the_reward() {
        let policy = PairLogps { chosen: rows(&[vec![-1.0, -1.0]]), rejected: rows(&[vec![-5.0]]) };
        let output = Nll {}.forward(&policy, None).expect("needs none");
        let means = PreferenceMetrics { beta: 0.1 }.measure(&policy, None, &output);
        let means = means.expect("readable").means();
        assert!((means["margin"] - 0.3).abs() < 1e-7);
        assert_eq!(means["accuracy"], 1.0);
    }
}
