//! Anchored preference optimisation, for chosen replies worse than the model's own.

use burn::tensor::activation::sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::{check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// APO-down loss: lowers the chosen completion a little and the rejected one more. For chosen
/// replies that are worse than what the model writes.
///
/// `sigmoid(beta c) + (1 - sigmoid(beta (c - r)))` with the log-ratios `c = pc - rc`,
/// `r = pr - rr`.
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
/// use ingrain_dpo::{ApoDown, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = ApoDown::default().forward(&policy, Some(&policy))?.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 1.0);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApoDown {
    /// Scale of the log-ratios; above 0. Default 0.1.
    pub beta: f64,
    /// Average log-ratios over tokens in place of summing. Default off.
    pub length_normalized: bool,
}

impl Default for ApoDown {
    fn default() -> Self {
        Self { beta: 0.1, length_normalized: false }
    }
}

impl ApoDown {
    pub(crate) const NAME: &'static str = "apo_down";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)
    }
}

impl PreferenceLoss for ApoDown {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        let (chosen, rejected) = policy.log_ratios(reference, self.length_normalized);
        let difference = chosen.clone() - rejected;
        // 1 - sigmoid(z) = sigmoid(-z), without the cancellation.
        let apart = sigmoid(difference.mul_scalar(-self.beta));
        Ok(LossOutput::new(sigmoid(chosen.mul_scalar(self.beta)) + apart))
    }
}
