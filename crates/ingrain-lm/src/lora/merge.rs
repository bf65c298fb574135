//! Merging adapters exactly, by concatenating their ranks.

use burn::tensor::Tensor;

use super::adapter::{Adapter, LayerAdapter, LoraPair};
use super::{LoraConfig, Projection};
use crate::LmError;

/// One adapter whose update is exactly `sum_i weight_i * delta_i`.
///
/// `[B1 B2] [A1; A2] = B1 A1 + B2 A2`: the ranks add up, no cross terms appear. Each factor pair's
/// own scale and weight are folded into `B`; the result has `alpha = rank`, hence scale 1. A module
/// that only some of the adapters touch keeps the rank it has and is padded with zeros, since PEFT
/// wants one rank for the whole adapter.
///
/// # Errors
/// [`LmError::Adapter`] if the list is empty or the adapters belong to models of different depth or
/// width.
pub fn merge_exact(parts: &[(&Adapter, f64)]) -> Result<Adapter, LmError> {
    let Some((first, _)) = parts.first() else {
        return Err(LmError::Adapter("nothing to merge: give at least one adapter".into()));
    };
    let depth = first.layers.len();
    if let Some((other, _)) = parts.iter().find(|(p, _)| p.layers.len() != depth) {
        return Err(LmError::Adapter(format!(
            "cannot merge adapters of {depth} and {} layers: they belong to different models",
            other.layers.len()
        )));
    }
    let rank = (0..depth)
        .flat_map(|layer| Projection::ALL.map(|which| rank_of(parts, layer, which)))
        .max()
        .unwrap_or(0);
    let layers =
        (0..depth).map(|layer| merge_layer(parts, layer, rank)).collect::<Result<Vec<_>, _>>()?;
    let targets = Projection::ALL
        .into_iter()
        .filter(|&p| layers.iter().any(|l| l.get(p).is_some()))
        .map(|p| p.name().to_owned())
        .collect();
    let config = LoraConfig { rank, alpha: rank as f64, target_modules: targets };
    Ok(Adapter { config, root: first.root, layers, skipped: Vec::new() })
}

/// Ranks of one module, added up.
fn rank_of(parts: &[(&Adapter, f64)], layer: usize, which: Projection) -> usize {
    parts.iter().filter_map(|(p, _)| p.layers[layer].get(which)).map(|pair| pair.a.dims()[0]).sum()
}

fn merge_layer(
    parts: &[(&Adapter, f64)],
    layer: usize,
    rank: usize,
) -> Result<LayerAdapter, LmError> {
    let mut merged = LayerAdapter::default();
    for which in Projection::ALL {
        let pairs: Vec<(&LoraPair, f64)> = parts
            .iter()
            .filter_map(|(part, weight)| Some((part.layers[layer].get(which)?, *weight)))
            .collect();
        let Some((first, _)) = pairs.first() else { continue };
        let (inputs, outputs) = (first.a.dims()[1], first.b.dims()[0]);
        if pairs.iter().any(|(p, _)| p.a.dims()[1] != inputs || p.b.dims()[0] != outputs) {
            return Err(LmError::Adapter(format!(
                "cannot merge: {} of layer {layer} differs in shape",
                which.path()
            )));
        }
        let used: usize = pairs.iter().map(|(p, _)| p.a.dims()[0]).sum();
        let mut a: Vec<Tensor<2>> = pairs.iter().map(|(p, _)| p.a.clone()).collect();
        let mut b: Vec<Tensor<2>> =
            pairs.iter().map(|(p, w)| p.b.clone().mul_scalar(p.scale * w)).collect();
        if used < rank {
            let device = first.a.device();
            a.push(Tensor::zeros([rank - used, inputs], &device));
            b.push(Tensor::zeros([outputs, rank - used], &device));
        }
        merged.pairs[which as usize] =
            Some(LoraPair { a: Tensor::cat(a, 0), b: Tensor::cat(b, 1), scale: 1.0 });
    }
    Ok(merged)
}
