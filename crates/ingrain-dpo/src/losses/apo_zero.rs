//! Anchored preference optimisation, for chosen replies better than the model's own.

use burn::tensor::activation::sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::{check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// APO-zero loss: raises the chosen completion and lowers the rejected one, each against its own
/// anchor. For chosen replies that are better than what the model writes.
///
/// `(1 - sigmoid(beta c)) + sigmoid(beta r)` with the log-ratios `c = pc - rc`, `r = pr - rr`.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats, summed over completion tokens, or averaged with `length_normalized`.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{ApoZero, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = ApoZero::default().forward(&policy, Some(&policy))?.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 1.0);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApoZero {
    /// Scale of the log-ratios; above 0. Default 0.1.
    pub beta: f64,
    /// Average log-ratios over tokens in place of summing. Default off.
    pub length_normalized: bool,
}

impl Default for ApoZero {
    fn default() -> Self {
        Self { beta: 0.1, length_normalized: false }
    }
}

impl ApoZero {
    pub(crate) const NAME: &'static str = "apo_zero";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)
    }
}

impl PreferenceLoss for ApoZero {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        let (chosen, rejected) = policy.log_ratios(reference, self.length_normalized);
        // 1 - sigmoid(z) = sigmoid(-z), without the cancellation.
        let raise = sigmoid(chosen.mul_scalar(-self.beta));
        Ok(LossOutput::new(raise + sigmoid(rejected.mul_scalar(self.beta))))
    }
}
