//! The regulariser that the released recipe calls a KL coefficient.

use serde::{Deserialize, Serialize};

use crate::loss::required;
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Mean squared log-ratio to the reference.
///
/// `(m(chosen) + m(rejected)) / 2`, where `m` is the mean over a completion's tokens of
/// `(log pi - log ref)^2`. It keeps every token of both completions near the reference; on text
/// that the policy did not sample it is no estimate of a KL divergence.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats squared.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{PairLogps, PreferenceLoss, SquaredLogRatio, TokenLogps};
///
/// let row = |x: &[f32]| TokenLogps::from_rows(&[x], &Device::flex());
/// let policy = PairLogps { chosen: row(&[-1.0, -2.0]), rejected: row(&[-4.0]) };
/// let reference = PairLogps { chosen: row(&[-2.0, -5.0]), rejected: row(&[-2.0]) };
/// let loss = SquaredLogRatio::default().forward(&policy, Some(&reference))?.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 4.5); // ((1 + 9) / 2 + 4) / 2
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// The distillation objective of Maiya et al. 2025, arXiv:2511.01689, as its code has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SquaredLogRatio {}

impl SquaredLogRatio {
    pub(crate) const NAME: &'static str = "squared_log_ratio";
}

impl PreferenceLoss for SquaredLogRatio {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        Ok(LossOutput::new(policy.token_penalty(reference, |r| r.square())))
    }
}
