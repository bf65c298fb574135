//! Direct preference optimisation, with label smoothing.

use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::{check, check_beta, required};
use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// What [`Dpo`] makes of `label_smoothing`, the share of pairs whose labels are believed swapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelNoise {
    /// Mixes the loss of the pair with that of the swapped pair (cDPO); biased, never negative.
    #[default]
    Conservative,
    /// Subtracts the swapped pair's loss so that the expected loss under the noise is that of
    /// clean labels; can be negative.
    Robust,
}

/// Direct preference optimisation loss.
///
/// With `d = (pc - rc) - (pr - rr)`, the difference of log-ratios, `l(z) = -log sigmoid(z)` and
/// `e = label_smoothing`:
///
/// - plain (`e = 0`): `l(beta d)`
/// - conservative: `(1 - e) l(beta d) + e l(-beta d)`
/// - robust: `((1 - e) l(beta d) - e l(-beta d)) / (1 - 2 e)`
///
/// # Shapes
/// - per-token log-probabilities: `[pairs, seq]`
/// - output: `[pairs]`
///
/// # Units
/// Nats, summed over completion tokens, or averaged with `length_normalized`; `beta` is
/// dimensionless.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{Dpo, PairLogps, PreferenceLoss, TokenLogps};
///
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-1.0), rejected: row(-2.0) };
/// let loss = Dpo::default().forward(&policy, Some(&policy))?.loss;
/// assert!((loss.into_scalar::<f32>() - 2.0_f32.ln()).abs() < 1e-7);
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
///
/// # Source
/// Rafailov et al. 2023, arXiv:2305.18290, eq. 7. Conservative: Mitchell 2023, "A note on DPO
/// with noisy preferences", eq. 3. Robust: Chowdhury et al. 2024, arXiv:2403.00409. Length
/// normalisation: Lambert et al. 2024 (Tulu 3), arXiv:2411.15124, section 5.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dpo {
    /// How strongly the policy is held to the reference; above 0. Default 0.1 (the paper's).
    pub beta: f64,
    /// Share of labels believed wrong, 0 to below 0.5. Default 0.
    pub label_smoothing: f64,
    /// What is made of that share. Default conservative.
    pub label_noise: LabelNoise,
    /// Average log-ratios over tokens in place of summing; wants a larger `beta` (Tulu 3: 5).
    /// Default off.
    pub length_normalized: bool,
}

impl Default for Dpo {
    fn default() -> Self {
        Self {
            beta: 0.1,
            label_smoothing: 0.0,
            label_noise: LabelNoise::Conservative,
            length_normalized: false,
        }
    }
}

impl Dpo {
    pub(crate) const NAME: &'static str = "dpo";

    pub(crate) fn validate(&self) -> Result<(), DpoError> {
        check_beta(Self::NAME, self.beta)?;
        let e = self.label_smoothing;
        check((0.0..0.5).contains(&e), Self::NAME, "label_smoothing", e, "0 to below 0.5")
    }
}

impl PreferenceLoss for Dpo {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = required(reference, Self::NAME)?;
        let difference = policy.log_ratio_difference(reference, self.length_normalized);
        let z = difference.mul_scalar(self.beta);
        let e = self.label_smoothing;
        let loss = log_sigmoid(z.clone()).neg();
        if e == 0.0 {
            return Ok(LossOutput::new(loss));
        }
        let swapped = log_sigmoid(z.neg()).neg();
        Ok(LossOutput::new(match self.label_noise {
            LabelNoise::Conservative => loss.mul_scalar(1.0 - e) + swapped.mul_scalar(e),
            LabelNoise::Robust => {
                (loss.mul_scalar(1.0 - e) - swapped.mul_scalar(e)).div_scalar(1.0 - 2.0 * e)
            }
        }))
    }
}
