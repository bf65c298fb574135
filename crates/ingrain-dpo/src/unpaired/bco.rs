//! Binary classifier optimisation.

use burn::tensor::{Tensor, activation::log_sigmoid};
use serde::{Deserialize, Serialize};

use crate::DpoError;
use crate::loss::check_beta;

/// Binary classifier loss: tell desirable replies from others by their implicit reward.
///
/// With the reward `r = beta (log pi(y|x) - log ref(y|x))` and a shift `delta` that no gradient passes
/// through:
///
/// - desirable: `-log sigmoid(r - delta)`
/// - undesirable: `-log sigmoid(-(r - delta))`
///
/// `delta` is the mean over the steps so far, the present one included, of the midpoint between the mean
/// reward of desirable and that of undesirable replies.
///
/// # Shapes
/// - log-ratios: `[replies]`
/// - output: `[replies]`
///
/// # Units
/// Nats, summed over completion tokens; `beta` is dimensionless.
///
/// # Source
/// Jung et al. 2024, arXiv:2404.04656, eq. 9 and 10, without the density-ratio weights of their
/// section 4.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bco {
    /// Scale of the reward; above 0. Default 0.1.
    pub beta: f64,
}

impl Default for Bco {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Bco {
    pub(super) fn validate(&self) -> Result<(), DpoError> {
        check_beta("bco", self.beta)
    }

    /// `sign` is 1 for desirable replies and -1 for others, `[replies]`.
    pub(super) fn forward(&self, log_ratios: Tensor<1>, sign: Tensor<1>, delta: f64) -> Tensor<1> {
        log_sigmoid(log_ratios.mul_scalar(self.beta).sub_scalar(delta) * sign).neg()
    }
}
