//! Identity preference optimisation.

use serde::{Deserialize, Serialize};

use crate::loss::{check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// Identity preference optimisation loss.
///
/// `(d - 1 / (2 beta))^2` with `d = (pc - rc) - (pr - rr)`, the difference of log-ratios: a target
/// for the margin, in place of a push that never ends.
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats. Log-ratios are averaged over tokens by default, as the authors advise and TRL does;
/// `length_normalized: false` sums them, as the paper writes it.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{Ipo, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = Ipo::default().forward(&policy, Some(&policy))?.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 25.0); // (0 - 1 / 0.2)^2
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Azar et al. 2023, arXiv:2310.12036, eq. 17 (`beta` is its tau).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ipo {
    /// The margin to reach is `1 / (2 beta)`; above 0. Default 0.1.
    pub beta: f64,
    /// Average log-ratios over tokens. Default on.
    pub length_normalized: bool,
}

impl Default for Ipo {
    fn default() -> Self {
        Self { beta: 0.1, length_normalized: true }
    }
}

impl Ipo {
    pub(crate) const NAME: &'static str = "ipo";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)
    }
}

impl PreferenceLoss for Ipo {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        let difference = policy.log_ratio_difference(reference, self.length_normalized);
        Ok(LossOutput::new(difference.sub_scalar(0.5 / self.beta).square()))
    }
}
