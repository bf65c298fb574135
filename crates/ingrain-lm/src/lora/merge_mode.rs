//! Merging by a named rule.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::adapter::{Adapter, LayerAdapter, LoraPair};
use super::merge::merge_exact;
use super::{LoraConfig, Projection};
use crate::LmError;

/// How several adapters become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMode {
    /// `sum_i w_i dW_i`, by rank concatenation ([`merge_exact`]).
    #[default]
    Exact,
    /// What PEFT's `add_weighted_adapter` calls `linear` and the released personas were made with: factors
    /// are summed with the roots of weight and scale, so that every `B_i` meets every `A_j`. For comparison
    /// only: the cross terms are no part of any adapter.
    PeftLinear,
}

impl MergeMode {
    /// One adapter out of several, each with its weight.
    ///
    /// # Errors
    /// As [`merge_exact`]; in `PeftLinear` also if ranks differ, which that formula cannot take.
    pub fn merge(self, parts: &[(&Adapter, f64)]) -> Result<Adapter, LmError> {
        match self {
            Self::Exact => merge_exact(parts),
            Self::PeftLinear => peft_linear(parts),
        }
    }
}

/// `A = sum_i sign_i sqrt|w_i s_i| A_i`, `B = sum_i sqrt|w_i s_i| B_i`, with scale 1.
///
/// Source: PEFT's `_generalized_task_arithmetic_weighted_adapter`.
fn peft_linear(parts: &[(&Adapter, f64)]) -> Result<Adapter, LmError> {
    // Shapes and emptiness are checked where the exact merge checks them.
    let exact = merge_exact(parts)?;
    let (first, _) = parts[0];
    let rank = first.config.rank;
    let mut layers = Vec::with_capacity(first.layers.len());
    for index in 0..first.layers.len() {
        let mut layer = LayerAdapter::default();
        for which in Projection::ALL {
            let mut sum: Option<LoraPair> = None;
            for (part, weight) in parts {
                let Some(pair) = part.layers[index].get(which) else { continue };
                let found = pair.a.dims()[0];
                if found != rank {
                    return Err(LmError::Adapter(format!(
                        "peft_linear needs one rank: {} of layer {index} has {found}, not {rank}; \
                         merge exactly instead",
                        which.path()
                    )));
                }
                let term = term(pair, *weight);
                sum = Some(match sum {
                    None => term,
                    Some(sum) => LoraPair { a: sum.a + term.a, b: sum.b + term.b, scale: 1.0 },
                });
            }
            layer.pairs[which as usize] = sum;
        }
        layers.push(layer);
    }
    let config = LoraConfig { rank, alpha: rank as f64, ..exact.config.clone() };
    Ok(Adapter { config, layers, ..exact })
}

fn term(pair: &LoraPair, weight: f64) -> LoraPair {
    let share = weight * pair.scale;
    let root = share.abs().sqrt();
    let signed = if share < 0.0 { -root } else { root };
    let times = |tensor: &Tensor<2>, factor: f64| tensor.clone().mul_scalar(factor);
    LoraPair { a: times(&pair.a, signed), b: times(&pair.b, root), scale: 1.0 }
}
