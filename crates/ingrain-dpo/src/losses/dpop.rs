//! DPO-positive: DPO that does not let the chosen completion become less likely.

use burn::tensor::activation::{log_sigmoid, relu};
use serde::{Deserialize, Serialize};

use crate::loss::{check, check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// DPO-positive loss (Smaug).
///
/// `-log sigmoid(beta (c - r - lambda max(0, -c)))` with the log-ratios `c = pc - rc`,
/// `r = pr - rr`: DPO with a penalty while the chosen completion is less likely than under the
/// reference.
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
/// use ingrain_dpo::{Dpop, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-3.0), rejected: row(-8.0) };
/// let reference = PairLogps { chosen: row(-2.0), rejected: row(-2.0) };
/// // c = -1, r = -6: the argument is beta (-1 + 6 - 5 * 1) = 0.
/// let loss = Dpop { lambda: 5.0, ..Dpop::default() }.forward(&policy, Some(&reference))?.loss;
/// assert!((loss.into_scalar::<f32>() - 2.0_f32.ln()).abs() < 1e-7);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Pal et al. 2024, arXiv:2402.13228, eq. 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dpop {
    /// Scale of the log-ratios; above 0. Default 0.1.
    pub beta: f64,
    /// Weight of the penalty, from 0. Default 50 (the paper's).
    pub lambda: f64,
    /// Average log-ratios over tokens in place of summing. Default off.
    pub length_normalized: bool,
}

impl Default for Dpop {
    fn default() -> Self {
        Self { beta: 0.1, lambda: 50.0, length_normalized: false }
    }
}

impl Dpop {
    pub(crate) const NAME: &'static str = "dpop";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)?;
        let holds = self.lambda >= 0.0 && self.lambda.is_finite();
        check(holds, Self::NAME, "lambda", self.lambda, "a number from 0")
    }
}

impl PreferenceLoss for Dpop {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        let (chosen, rejected) = policy.log_ratios(reference, self.length_normalized);
        let penalty = relu(chosen.clone().neg()).mul_scalar(self.lambda);
        let z = (chosen - rejected - penalty).mul_scalar(self.beta);
        Ok(LossOutput::new(log_sigmoid(z).neg()))
    }
}
