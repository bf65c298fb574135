//! Contrastive preference optimisation: DPO without a reference, held by the likelihood.

use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::{check, check_beta};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Contrastive preference optimisation loss.
///
/// `(1 - e) l(beta (pc - pr)) + e l(-beta (pc - pr)) - nll_weight * mc` with
/// `l(z) = -log sigmoid(z)`, `e = label_smoothing`, summed log-probabilities `pc` and `pr`, and
/// `mc` the mean log-probability of the chosen completion's tokens.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats: summed over tokens in the preference term, a token in the likelihood term.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{Cpo, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-3.0), rejected: row(-3.0) };
/// let loss = Cpo::default().forward(&policy, None)?.loss;
/// assert!((loss.into_scalar::<f32>() - (2.0_f32.ln() + 3.0)).abs() < 1e-6);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Xu et al. 2024, arXiv:2401.08417, eq. 5; the mean in the likelihood term is TRL's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpo {
    /// Scale of the preference term; above 0. Default 0.1. Not taken from the objective's `beta`.
    pub beta: f64,
    /// Share of labels believed wrong, 0 to below 0.5. Default 0.
    pub label_smoothing: f64,
    /// Weight of the likelihood term, from 0. Default 1.0.
    pub nll_weight: f64,
}

impl Default for Cpo {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 0.0, nll_weight: 1.0 }
    }
}

impl Cpo {
    pub(crate) const NAME: &'static str = "cpo";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)?;
        let (e, nll) = (self.label_smoothing, self.nll_weight);
        check((0.0..0.5).contains(&e), Self::NAME, "label_smoothing", e, "0 to below 0.5")?;
        let holds = nll >= 0.0 && nll.is_finite();
        check(holds, Self::NAME, "nll_weight", nll, "a number from 0")
    }
}

impl PreferenceLoss for Cpo {
    fn forward(
        &self,
        policy: &PairLogps,
        _reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let z = (policy.chosen.sum() - policy.rejected.sum()).mul_scalar(self.beta);
        let e = self.label_smoothing;
        let preference = log_sigmoid(z.clone()).mul_scalar(e - 1.0);
        let swapped = log_sigmoid(z.neg()).mul_scalar(-e);
        let likelihood = policy.chosen.mean().mul_scalar(-self.nll_weight);
        Ok(LossOutput::new(preference + swapped + likelihood))
    }

    fn needs_reference(&self) -> bool {
        false
    }
}
