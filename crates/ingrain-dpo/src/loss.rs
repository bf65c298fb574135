//! The seam of this crate: what a batch of preference pairs costs.

use burn::tensor::Tensor;
use ingrain_lm::KlDirection;

use crate::{DpoError, PairLogps};

/// A loss over preference pairs.
///
/// One value a pair. An implementation never reduces, logs or steps, and sees log-probabilities
/// only: per token, so that sums, means and squares are all within reach. A weighted sum of
/// losses is itself a loss ([`WeightedSum`](crate::WeightedSum)).
///
/// # Examples
///
/// A loss of one's own is one method. This one is the plain difference of log-ratios:
///
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{DpoError, LossOutput, PairLogps, PreferenceLoss, TokenLogps};
///
/// struct Difference;
/// impl PreferenceLoss for Difference {
///     fn forward(
///         &self,
///         policy: &PairLogps,
///         reference: Option<&PairLogps>,
///     ) -> Result<LossOutput, DpoError> {
///         let reference = reference.ok_or(DpoError::MissingReference { loss: "difference" })?;
///         let chosen = policy.chosen.minus(&reference.chosen).sum();
///         let rejected = policy.rejected.minus(&reference.rejected).sum();
///         Ok(LossOutput::new(rejected - chosen))
///     }
/// }
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-5.0) };
/// let reference = PairLogps { chosen: row(-2.0), rejected: row(-4.0) };
/// let loss = Difference.forward(&policy, Some(&reference))?.loss;
/// assert_eq!(loss.into_scalar::<f32>(), -2.0);
/// # Ok::<(), DpoError>(())
/// ```
pub trait PreferenceLoss: Send + Sync {
    /// Loss of each pair.
    ///
    /// # Shapes
    /// - `policy`, `reference`: the same tokens, `[pairs, seq]`; the policy is tracked during
    ///   training, the reference never is
    /// - output: `[pairs]`
    ///
    /// # Errors
    /// [`DpoError::MissingReference`] if the loss needs a reference and got none.
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError>;

    /// Whether [`forward`](Self::forward) needs a reference. Where no loss does, no reference
    /// pass is made.
    fn needs_reference(&self) -> bool {
        true
    }

    /// Which divergence over the whole vocabulary the policy's log-probabilities must carry, if any
    /// (see [`TokenLogps::with_divergence`](crate::TokenLogps::with_divergence)).
    fn divergence(&self) -> Option<KlDirection> {
        None
    }
}

/// What a [`PreferenceLoss`] returns.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// Loss of each pair, `[pairs]`.
    pub loss: Tensor<1>,
    /// Named values of each pair, `[pairs]` each: the terms of a sum, under their names. Rewards,
    /// margins and the like are not a loss's business; see
    /// [`PreferenceMetrics`](crate::PreferenceMetrics).
    pub parts: Vec<(String, Tensor<1>)>,
}

impl LossOutput {
    /// A loss without parts.
    #[must_use]
    pub fn new(loss: Tensor<1>) -> Self {
        Self { loss, parts: Vec::new() }
    }
}

/// The reference, or the error that names the loss which needs it.
pub(crate) fn required<'a>(
    reference: Option<&'a PairLogps>,
    loss: &'static str,
) -> Result<&'a PairLogps, DpoError> {
    reference.ok_or(DpoError::MissingReference { loss })
}

/// `beta`, a temperature: above 0 and finite.
pub(crate) fn check_beta(loss: &'static str, beta: f64) -> Result<(), DpoError> {
    check(beta > 0.0 && beta.is_finite(), loss, "beta", beta, "a number above 0")
}

/// One setting's range.
pub(crate) fn check(
    holds: bool,
    loss: &'static str,
    key: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), DpoError> {
    if holds { Ok(()) } else { Err(DpoError::LossSetting { loss, key, value, expected }) }
}
