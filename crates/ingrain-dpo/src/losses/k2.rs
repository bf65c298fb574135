//! The second of the usual single-sample estimators of a KL divergence.

use serde::{Deserialize, Serialize};

use crate::loss::required;
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Mean of `k2 = d^2 / 2`, `d = log ref - log pi`, over the tokens of both completions.
///
/// Half of [`SquaredLogRatio`](crate::SquaredLogRatio). On the policy's own samples its gradient
/// is that of `KL(pi || ref)`.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{K2, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-3.0), rejected: row(-2.0) };
/// let reference = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = K2::default().forward(&policy, Some(&reference))?.loss;
/// // d = 2 on the chosen side, 0 on the other: (2 + 0) / 2.
/// assert!((loss.into_scalar::<f32>() - 1.0).abs() < 1e-6);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Schulman 2020, "Approximating KL divergence".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct K2 {}

impl PreferenceLoss for K2 {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, "k2")?;
        Ok(LossOutput::new(policy.token_penalty(reference, |r| r.square().mul_scalar(0.5))))
    }
}
