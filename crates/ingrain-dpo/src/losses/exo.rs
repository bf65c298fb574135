//! Efficient exact optimisation, for pairs.

use burn::tensor::activation::{log_sigmoid, sigmoid};
use serde::{Deserialize, Serialize};

use crate::loss::{check, check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Efficient exact optimisation loss (EXO-pref).
///
/// The reverse KL divergence between what the policy believes about the pair,
/// `q = sigmoid(beta d)` with `d = (pc - rc) - (pr - rr)`, and labels that are right with
/// probability `1 - e`: `q (log q - log(1 - e)) + (1 - q) (log(1 - q) - log e)`, where
/// `e = label_smoothing`. DPO is the forward KL divergence of the same two.
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
/// use ingrain_dpo::{Exo, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-1.0) };
/// let loss = Exo { label_smoothing: 0.1, ..Exo::default() }.forward(&policy, Some(&policy))?.loss;
/// // q = 1/2: log(1/2) - (log 0.9 + log 0.1) / 2 = log(0.5 / 0.3)
/// assert!((loss.into_scalar::<f32>() - (0.5_f32 / 0.3).ln()).abs() < 1e-6);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Ji et al. 2024, arXiv:2402.00856, eq. 16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exo {
    /// Scale of the log-ratios; above 0. Default 0.1.
    pub beta: f64,
    /// Probability that a label is wrong, above 0 and below 0.5. Default 0.001.
    pub label_smoothing: f64,
    /// Average log-ratios over tokens in place of summing. Default off.
    pub length_normalized: bool,
}

impl Default for Exo {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 1e-3, length_normalized: false }
    }
}

impl Exo {
    pub(crate) const NAME: &'static str = "exo";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)?;
        let e = self.label_smoothing;
        let expected = "a number above 0 and below 0.5";
        check(e > 0.0 && e < 0.5, Self::NAME, "label_smoothing", e, expected)
    }
}

impl PreferenceLoss for Exo {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        let difference = policy.log_ratio_difference(reference, self.length_normalized);
        let z = difference.mul_scalar(self.beta);
        let e = self.label_smoothing;
        let right = log_sigmoid(z.clone()).sub_scalar((1.0 - e).ln());
        let wrong = log_sigmoid(z.clone().neg()).sub_scalar(e.ln());
        Ok(LossOutput::new(sigmoid(z.clone()) * right + sigmoid(z.neg()) * wrong))
    }
}
