//! The likelihood of the chosen completion.

use serde::{Deserialize, Serialize};

use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Negative log-likelihood of the chosen completion.
///
/// The mean over its tokens of `-log pi`. The term that teaches a style, where a preference term
/// alone may only push the rejected reply down.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats a token.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{Nll, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: &[f32]| TokenLogps::from_rows(&[x], &Device::flex());
/// let policy = PairLogps { chosen: row(&[-1.0, -2.0]), rejected: row(&[-9.0]) };
/// let loss = Nll::default().forward(&policy, None)?.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 1.5);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Pang et al. 2024, arXiv:2404.19733, eq. 1 (as a term beside DPO).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nll {}

impl PreferenceLoss for Nll {
    fn forward(
        &self,
        policy: &PairLogps,
        _reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        Ok(LossOutput::new(policy.chosen.mean().neg()))
    }

    fn needs_reference(&self) -> bool {
        false
    }
}
