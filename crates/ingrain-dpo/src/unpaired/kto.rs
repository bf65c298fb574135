//! Kahneman-Tversky optimisation.

use burn::tensor::{Tensor, activation::sigmoid};
use serde::{Deserialize, Serialize};

use crate::DpoError;
use crate::loss::{check, check_beta};

/// Kahneman-Tversky loss.
///
/// With `r = log pi(y|x) - log ref(y|x)` and `z`, an estimate of the divergence from the reference over
/// the batch that no gradient passes through:
///
/// - desirable: `desirable_weight (1 - sigmoid(beta (r - z)))`
/// - undesirable: `undesirable_weight (1 - sigmoid(beta (z - r)))`
///
/// `z = max(0, mean of r(x_i, y_j))` over mismatched replies: each prompt with the reply to another
/// prompt.
///
/// # Shapes
/// - log-ratios: `[replies]`
/// - output: `[replies]`
///
/// # Units
/// Nats, summed over completion tokens; `beta` and the weights are dimensionless.
///
/// # Source
/// Ethayarajh et al. 2024, arXiv:2402.01306, eq. 8; values and gradients as in TRL's `KTOTrainer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kto {
    /// Scale of the log-ratios; above 0. Default 0.1.
    pub beta: f64,
    /// Weight of desirable replies, from 0. Default 1. Choose both so that weight times count is
    /// about equal on both sides.
    pub desirable_weight: f64,
    /// Weight of undesirable replies, from 0. Default 1.
    pub undesirable_weight: f64,
}

impl Default for Kto {
    fn default() -> Self {
        Self { beta: 0.1, desirable_weight: 1.0, undesirable_weight: 1.0 }
    }
}

impl Kto {
    pub(super) fn validate(&self) -> Result<(), DpoError> {
        check_beta("kto", self.beta)?;
        for (key, weight) in [
            ("desirable_weight", self.desirable_weight),
            ("undesirable_weight", self.undesirable_weight),
        ] {
            check(weight >= 0.0 && weight.is_finite(), "kto", key, weight, "a number from 0")?;
        }
        Ok(())
    }

    /// `sign` is 1 for desirable replies and -1 for others, `[replies]`.
    pub(super) fn forward(&self, log_ratios: Tensor<1>, sign: Tensor<1>, kl: f64) -> Tensor<1> {
        let (desirable, undesirable) = (self.desirable_weight, self.undesirable_weight);
        let weight = sign
            .clone()
            .mul_scalar((desirable - undesirable) / 2.0)
            .add_scalar(f64::midpoint(desirable, undesirable));
        // 1 - sigmoid(z) = sigmoid(-z), without the cancellation.
        weight * sigmoid(log_ratios.sub_scalar(kl) * sign.mul_scalar(-self.beta))
    }
}
