//! Divergence from the reference over the whole vocabulary.

use ingrain_lm::KlDirection;
use serde::{Deserialize, Serialize};

use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Kullback-Leibler divergence between policy and reference.
///
/// `(m(chosen) + m(rejected)) / 2`, where `m` is the mean over a completion's tokens of the divergence
/// between the two models' next-token distributions: exact at each prefix, on prefixes that neither
/// model sampled. Costs a second forward pass a step, of the reference, and a second read-out.
///
/// # Shapes
/// - divergences a token: `[pairs, seq]`, from [`TokenLogps::with_divergence`](crate::TokenLogps)
/// - output: `[pairs]`
///
/// # Units
/// Nats a token.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ingrain_dpo::{Kl, PairLogps, PreferenceLoss, TokenLogps};
///
/// let device = Device::flex();
/// let side = |kl: &[f32]| {
///     TokenLogps::from_rows(&[vec![-1.0; kl.len()]], &device)
///         .with_divergence(Tensor::from_floats(kl, &device))
/// };
/// let policy = PairLogps { chosen: side(&[0.1, 0.3]), rejected: side(&[0.6]) };
/// let loss = Kl::default().forward(&policy, None)?.loss;
/// assert!((loss.into_scalar::<f32>() - 0.4).abs() < 1e-6); // (0.2 + 0.6) / 2
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Kullback, Leibler 1951; derivative in [`ingrain_lm::vocab_kl`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kl {
    /// Reverse, `KL(policy || reference)`, or forward. Default reverse.
    pub direction: KlDirection,
}

impl Kl {
    pub(crate) const NAME: &'static str = "kl";
}

impl PreferenceLoss for Kl {
    fn forward(
        &self,
        policy: &PairLogps,
        _reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let mean = |side: &crate::TokenLogps| {
            side.mean_divergence().ok_or(DpoError::MissingDivergence { loss: Self::NAME })
        };
        Ok(LossOutput::new((mean(&policy.chosen)? + mean(&policy.rejected)?).mul_scalar(0.5)))
    }

    fn needs_reference(&self) -> bool {
        false
    }

    fn divergence(&self) -> Option<KlDirection> {
        Some(self.direction)
    }
}
