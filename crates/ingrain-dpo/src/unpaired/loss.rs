//! The choice of a loss over single replies, and the figure of the batch that each depends on.

use burn::tensor::Tensor;
use ingrain_train::Statistics;
use serde::{Deserialize, Serialize};

use super::{Bco, Kto};
use crate::DpoError;

/// A loss over replies of which it is known whether they are desirable.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ingrain_dpo::UnpairedLoss;
///
/// let kto: UnpairedLoss = serde_json::from_str(r#"{"kto": {"beta": 0.5}}"#)?;
/// let log_ratios = Tensor::<1>::from_floats([1.0, 1.0], &Device::flex());
/// // A desirable and an undesirable reply, both 1 nat likelier than under the reference, which is what
/// // the batch's divergence is: the loss is 1/2 for either.
/// let statistics = [("kl".to_owned(), 1.0)].into();
/// let loss = kto.forward(log_ratios, &[true, false], &statistics);
/// assert_eq!(loss.to_data().try_to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnpairedLoss {
    /// [`Kto`]
    Kto(Kto),
    /// [`Bco`]
    Bco(Bco),
}

impl Default for UnpairedLoss {
    fn default() -> Self {
        Self::Kto(Kto::default())
    }
}

/// Mean log-ratio of mismatched replies over a batch, cut off at zero.
pub(super) const KL: &str = "kl";
/// Mean log-ratios over a batch.
pub(super) const DESIRABLE: &str = "desirable";
pub(super) const UNDESIRABLE: &str = "undesirable";
/// Running mean of the rewards' midpoint, and the number of batches in it.
const DELTA: &str = "delta";
const BATCHES: &str = "batches";

impl UnpairedLoss {
    /// Scale of the implicit reward.
    #[must_use]
    pub fn beta(&self) -> f64 {
        match self {
            Self::Kto(loss) => loss.beta,
            Self::Bco(loss) => loss.beta,
        }
    }

    /// Checks the settings' ranges.
    ///
    /// # Errors
    /// [`DpoError::LossSetting`] naming the first setting outside its range.
    pub fn validate(&self) -> Result<(), DpoError> {
        match self {
            Self::Kto(loss) => loss.validate(),
            Self::Bco(loss) => loss.validate(),
        }
    }

    /// Loss of each reply.
    ///
    /// # Shapes
    /// - `log_ratios`: `[replies]`, `log pi - log ref`, summed over completion tokens
    /// - output: `[replies]`
    #[must_use]
    pub fn forward(
        &self,
        log_ratios: Tensor<1>,
        desirable: &[bool],
        statistics: &Statistics,
    ) -> Tensor<1> {
        let signs: Vec<f32> = desirable.iter().map(|&is| if is { 1.0 } else { -1.0 }).collect();
        let sign = Tensor::from_floats(signs.as_slice(), &log_ratios.clone().inner().device());
        let figure = |name: &str| statistics.get(name).copied().unwrap_or(0.0);
        match self {
            Self::Kto(loss) => loss.forward(log_ratios, sign, figure(KL)),
            Self::Bco(loss) => loss.forward(log_ratios, sign, figure(DELTA)),
        }
    }

    /// Whether it looks at mismatched replies.
    pub(super) fn needs_mismatched(&self) -> bool {
        matches!(self, Self::Kto(_))
    }

    /// What [`forward`](Self::forward) is given at a step, from what it was given before and from the
    /// batch's own means.
    pub(super) fn carry(&self, before: &Statistics, batch: &Statistics) -> Statistics {
        match self {
            Self::Kto(_) => {
                let kl = batch.get(KL).copied().unwrap_or(0.0).max(0.0);
                Statistics::from([(KL.to_owned(), kl)])
            }
            Self::Bco(loss) => {
                let sides = [batch.get(DESIRABLE), batch.get(UNDESIRABLE)];
                let sides: Vec<f64> = sides.into_iter().flatten().copied().collect();
                let now = loss.beta * sides.iter().sum::<f64>() / sides.len().max(1) as f64;
                let batches = before.get(BATCHES).copied().unwrap_or(0.0);
                let earlier = before.get(DELTA).copied().unwrap_or(0.0);
                let delta = (earlier * batches + now) / (batches + 1.0);
                Statistics::from([(DELTA.to_owned(), delta), (BATCHES.to_owned(), batches + 1.0)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(named: &[(&str, f64)]) -> Statistics {
        named.iter().map(|(name, x)| ((*name).to_owned(), *x)).collect()
    }

    #[test]
    fn the_divergence_estimate_of_kto_is_the_batch_s_own_and_never_negative() {
        let kto = UnpairedLoss::default();
        let before = figures(&[(KL, 9.0)]);
        assert_eq!(kto.carry(&before, &figures(&[(KL, 0.25)]))[KL], 0.25);
        assert_eq!(kto.carry(&before, &figures(&[(KL, -3.0)]))[KL], 0.0);
    }

    #[test]
    fn the_shift_of_bco_is_a_running_mean_of_midpoints() {
        let bco = UnpairedLoss::Bco(Bco { beta: 0.5 });
        let first = bco.carry(&figures(&[]), &figures(&[(DESIRABLE, 3.0), (UNDESIRABLE, -1.0)]));
        assert_eq!(first[DELTA], 0.5); // 0.5 (3 - 1) / 2
        let second = bco.carry(&first, &figures(&[(UNDESIRABLE, -3.0)]));
        assert_eq!(second[DELTA], -0.5); // (0.5 + 0.5 * -3) / 2
        assert_eq!(second[BATCHES], 2.0);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let message = |json: &str| {
            let loss: UnpairedLoss = serde_json::from_str(json).expect("parses");
            loss.validate().expect_err("out of range").to_string()
        };
        assert!(message(r#"{"kto": {"beta": 0}}"#).starts_with("loss `kto`: `beta` is 0"));
        assert!(message(r#"{"kto": {"desirable_weight": -1}}"#).contains("desirable_weight"));
        assert!(message(r#"{"bco": {"beta": -1}}"#).starts_with("loss `bco`"));
    }
}
