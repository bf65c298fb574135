//! The first of the usual single-sample estimators of a KL divergence.

use serde::{Deserialize, Serialize};

use crate::loss::required;
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Mean of `k1 = -d`, `d = log ref - log pi`, over the tokens of both completions.
///
/// `(m(chosen) + m(rejected)) / 2`, `m` being the mean over a completion's tokens. On the
/// policy's own samples its *value* is an unbiased estimate of `KL(pi || ref)`; its gradient is
/// just that of the likelihood, and it has no floor. Preference pairs are seldom the policy's own
/// samples.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{K1, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-3.0), rejected: row(-2.0) };
/// let reference = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = K1::default().forward(&policy, Some(&reference))?.loss;
/// // d = 2 on the chosen side, 0 on the other.
/// assert!((loss.into_scalar::<f32>() + 1.0).abs() < 1e-6);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Schulman 2020, "Approximating KL divergence".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct K1 {}

impl PreferenceLoss for K1 {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, "k1")?;
        Ok(LossOutput::new(policy.token_penalty(reference, |r| r)))
    }
}
