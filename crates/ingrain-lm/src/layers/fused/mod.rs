//! A decoder block as one operation, for f32 on Flex.
//!
//! The block that [`DecoderLayer`] composes of Burn operations, written over slices: residuals and side
//! paths are added by the matrix products themselves, nothing is copied to change its order, and with
//! gradients the whole block is a single node of the graph whose backward pass is written out. What
//! falls away is memory traffic and single-threaded element-wise passes, some two fifths of a training
//! step. The tests hold it to the composition, values and gradients.

mod node;
mod pass;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::tensor::Tensor;

use super::cache::LayerCache;
use super::{Branches, DecoderLayer, Linear, Span};
use crate::DecoderConfig;
use crate::batch::Branch;
use crate::kernels::bf16::HalfWeight;
use crate::kernels::linear::{Map, Side};
use crate::kernels::rotary::Angles;
use crate::kernels::{self, Dense, Nodes};
use crate::lora::{LayerAdapter, LoraPair, Projection};

/// Runs the block, or returns `None` where only the composition can.
pub(super) fn forward(
    layer: &DecoderLayer,
    config: &DecoderConfig,
    x: &Tensor<2>,
    span: &Span,
    adapter: Option<&LayerAdapter>,
    cache: Option<&mut LayerCache>,
) -> Option<Tensor<2>> {
    if !layer.is_plain(config) || span.window.is_some() {
        return None;
    }
    let mut nodes = Nodes::default();
    let x = nodes.read(x)?;
    let block = Block::read(layer, config, span, adapter, &mut nodes)?;
    let cache = cache.zip(span.placement.as_ref());
    if nodes.any_tracked() && cache.is_some() {
        return None;
    }
    let rows = span.batch * span.seq;
    let (y, saved) = pass::forward(&block, x, cache)?;
    let shape = [rows, config.hidden_size];
    Some(match nodes.any_tracked() {
        true => node::attach(y, shape, nodes, block, saved, span.recompute),
        false => kernels::tensor(y, shape),
    })
}

/// Everything about a block but its input.
#[derive(Debug)]
struct Block {
    batch: usize,
    seq: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    eps: f64,
    norms: [Dense; 2],
    cos: Dense,
    sin: Dense,
    /// For each row, whether it holds two sequences; empty where none does.
    branches: Arc<[Option<Branch>]>,
    /// In the order of [`Projection::ALL`].
    projections: [Projected; 7],
}

/// One projection's weights.
#[derive(Debug)]
struct Projected {
    weight: Dense,
    half: Option<Arc<HalfWeight>>,
    bias: Option<Dense>,
    inputs: usize,
    side: Option<SideInputs>,
}

/// One projection's side path.
#[derive(Debug)]
struct SideInputs {
    a: Dense,
    b: Dense,
    rank: usize,
    scale: f32,
}

impl Block {
    fn read(
        layer: &DecoderLayer,
        config: &DecoderConfig,
        span: &Span,
        adapter: Option<&LayerAdapter>,
        nodes: &mut Nodes,
    ) -> Option<Self> {
        let mut projections = Vec::with_capacity(7);
        for which in Projection::ALL {
            let side = adapter.and_then(|a| a.get(which));
            projections.push(Projected::read(&layer.projections[which as usize], side, nodes)?);
        }
        let (cos, sin) = span.rotary.read()?;
        Some(Self {
            batch: span.batch,
            seq: span.seq,
            heads: config.num_heads,
            kv_heads: config.num_kv_heads,
            head_dim: config.head_dim,
            eps: config.rms_norm_eps,
            norms: [Dense::read(&layer.input_norm)?, Dense::read(&layer.post_attention_norm)?],
            cos,
            sin,
            branches: span.branches.as_ref().map(Branches::rows).unwrap_or_default(),
            projections: projections.try_into().ok()?,
        })
    }

    fn map(&self, which: Projection) -> Map<'_> {
        self.projections[which as usize].map()
    }

    fn angles(&self) -> Angles<'_> {
        Angles { cos: self.cos.values(), sin: self.sin.values(), half: self.head_dim / 2 }
    }
}

impl Projected {
    fn read(linear: &Linear, side: Option<&LoraPair>, nodes: &mut Nodes) -> Option<Self> {
        let bias = match &linear.bias {
            Some(bias) => Some(Dense::read(bias)?),
            None => None,
        };
        let side = match side {
            Some(pair) => Some(SideInputs {
                a: nodes.read(&pair.a)?,
                b: nodes.read(&pair.b)?,
                rank: pair.a.dims()[0],
                scale: pair.scale as f32,
            }),
            None => {
                nodes.skip(2);
                None
            }
        };
        let inputs = linear.weight.dims()[1];
        let half = linear.half.clone();
        Some(Self { weight: Dense::read(&linear.weight)?, half, bias, inputs, side })
    }

    fn map(&self) -> Map<'_> {
        Map {
            weight: self.weight.values(),
            half: self.half.as_deref(),
            bias: self.bias.as_ref().map(Dense::values),
            inputs: self.inputs,
            side: self.side.as_ref().map(|side| Side {
                a: side.a.values(),
                b: side.b.values(),
                rank: side.rank,
                scale: side.scale,
            }),
        }
    }
}
