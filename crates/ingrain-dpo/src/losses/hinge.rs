//! The hinge loss of sequence likelihood calibration.

use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use crate::loss::{check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Hinge loss (SLiC).
///
/// `max(0, 1 - beta d)`, where `d` is the difference of log-ratios `(pc - rc) - (pr - rr)`, or
/// with `reference_free` that of log-probabilities `pc - pr`, as in SLiC itself.
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
/// use ingrain_dpo::{Hinge, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-4.0) };
/// let loss = Hinge { reference_free: true, ..Hinge::default() }.forward(&policy, None)?.loss;
/// assert!((loss.into_scalar::<f32>() - 0.7).abs() < 1e-6); // 1 - 0.1 * 3
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Zhao et al. 2023, arXiv:2305.10425; on log-ratios: Liu et al. 2023, arXiv:2309.06657.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hinge {
    /// The margin to reach is `1 / beta`; above 0. Default 0.1.
    pub beta: f64,
    /// Compare log-probabilities in place of log-ratios. Default off.
    pub reference_free: bool,
    /// Average over tokens in place of summing. Default off.
    pub length_normalized: bool,
}

impl Default for Hinge {
    fn default() -> Self {
        Self { beta: 0.1, reference_free: false, length_normalized: false }
    }
}

impl Hinge {
    pub(crate) const NAME: &'static str = "hinge";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)
    }
}

impl PreferenceLoss for Hinge {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let mean = self.length_normalized;
        let difference = if self.reference_free {
            policy.chosen.total(mean) - policy.rejected.total(mean)
        } else {
            policy.log_ratio_difference(required(reference, Self::NAME)?, mean)
        };
        Ok(LossOutput::new(relu(difference.mul_scalar(-self.beta).add_scalar(1.0))))
    }

    fn needs_reference(&self) -> bool {
        !self.reference_free
    }
}
