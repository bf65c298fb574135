//! The third of the usual single-sample estimators of a KL divergence.

use serde::{Deserialize, Serialize};

use crate::loss::required;
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Mean of `k3 = exp(d) - d - 1`, `d = log ref - log pi`, over the tokens of both completions.
///
/// Never negative, and steep where the policy gives a token far less than the reference does: a
/// log-ratio below -88 overflows f32. On the policy's own samples its value is an unbiased
/// estimate of `KL(pi || ref)` with little variance.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{K3, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-3.0), rejected: row(-2.0) };
/// let reference = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = K3::default().forward(&policy, Some(&reference))?.loss;
/// // d = 2 on the chosen side, 0 on the other: (e^2 - 3 + 0) / 2.
/// assert!((loss.into_scalar::<f32>() - (2_f32.exp() - 3.0) / 2.0).abs() < 1e-6);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Schulman 2020, "Approximating KL divergence".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct K3 {}

impl PreferenceLoss for K3 {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, "k3")?;
        Ok(LossOutput::new(
            policy.token_penalty(reference, |r| r.clone().neg().exp() + r.sub_scalar(1.0)),
        ))
    }
}
