//! Odds ratio preference optimisation: no reference, likelihood included.

use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::check_beta;
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Mean log-probabilities are kept below this, so that their odds stay finite in f32.
const LARGEST: f32 = -1e-6;

/// Odds ratio preference optimisation loss.
///
/// `-mc - beta log sigmoid(log_odds(mc) - log_odds(mr))` with `log_odds(m) = m - log(1 - exp m)`,
/// where `mc` and `mr` are the mean log-probabilities of the completions' tokens. The first term,
/// the likelihood of the chosen completion, is part of the method; here it covers completion
/// tokens only (the authors' code counts the prompt's too).
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats a token.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{Orpo, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |p: f32| TokenLogps::from_rows(&[[p.ln()]], &Device::flex());
/// // Probabilities 3/4 and 1/2 have odds 3 and 1: sigmoid(log 3) = 3/4.
/// let policy = PairLogps { chosen: row(0.75), rejected: row(0.5) };
/// let loss = Orpo { beta: 0.5 }.forward(&policy, None)?.loss;
/// assert!((loss.into_scalar::<f32>() + 1.5 * 0.75_f32.ln()).abs() < 1e-6);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Hong et al. 2024, arXiv:2403.07691, eqs. 6 and 7 (`beta` is its lambda).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orpo {
    /// Weight of the odds ratio beside the likelihood; above 0. Default 0.1. Not taken from the
    /// objective's `beta`.
    pub beta: f64,
}

impl Default for Orpo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Orpo {
    pub(crate) const NAME: &'static str = "orpo";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)
    }
}

fn log_odds(mean: Tensor<1>) -> Tensor<1> {
    let mean = mean.clamp_max(LARGEST);
    mean.clone() - mean.exp().neg().add_scalar(1.0).log()
}

impl PreferenceLoss for Orpo {
    fn forward(
        &self,
        policy: &PairLogps,
        _reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let (chosen, rejected) = (policy.chosen.mean(), policy.rejected.mean());
        let ratio = log_odds(chosen.clone()) - log_odds(rejected);
        Ok(LossOutput::new(chosen.neg() - log_sigmoid(ratio).mul_scalar(self.beta)))
    }

    fn needs_reference(&self) -> bool {
        false
    }
}
