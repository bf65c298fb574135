//! Simple preference optimisation: no reference, mean log-probabilities.

use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::{check, check_beta};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Simple preference optimisation loss.
///
/// `-log sigmoid(beta (mc - mr) - gamma)`, where `mc` and `mr` are the mean log-probabilities of
/// the completions' tokens.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats a token; `gamma` is a margin in units of the scaled reward.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{PairLogps, PreferenceLoss, SimPo, TokenLogps};
///
/// let row = |x: &[f32]| TokenLogps::from_rows(&[x], &Device::flex());
/// // Means -1 and -1.5: with beta 2 and gamma 1 the argument is exactly 0.
/// let policy = PairLogps { chosen: row(&[-1.0, -1.0]), rejected: row(&[-1.5]) };
/// let loss = SimPo { beta: 2.0, gamma: 1.0 }.forward(&policy, None)?.loss;
/// assert!((loss.into_scalar::<f32>() - 2.0_f32.ln()).abs() < 1e-7);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Meng et al. 2024, arXiv:2405.14734, eq. 6.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimPo {
    /// Scale of the reward; above 0. Default 2.0. Not taken from the objective's `beta`, which
    /// is made for sums.
    pub beta: f64,
    /// Margin that the chosen completion should lead by, from 0. Default 1.0.
    pub gamma: f64,
}

impl Default for SimPo {
    fn default() -> Self {
        Self { beta: 2.0, gamma: 1.0 }
    }
}

impl SimPo {
    pub(crate) const NAME: &'static str = "simpo";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)?;
        let holds = self.gamma >= 0.0 && self.gamma.is_finite();
        check(holds, Self::NAME, "gamma", self.gamma, "a number from 0")
    }
}

impl PreferenceLoss for SimPo {
    fn forward(
        &self,
        policy: &PairLogps,
        _reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let difference = policy.chosen.mean() - policy.rejected.mean();
        let z = difference.mul_scalar(self.beta).sub_scalar(self.gamma);
        Ok(LossOutput::new(log_sigmoid(z).neg()))
    }

    fn needs_reference(&self) -> bool {
        false
    }
}
