//! One decoder block.

use burn::tensor::{Tensor, activation};

use super::attention::attend;
use super::linear::project;
use super::{AttentionMask, LayerCache, Linear, Rotary, rms_norm};
use crate::DecoderConfig;
use crate::lora::{LayerAdapter, Projection};

/// What every block of one forward pass needs to know about the tokens.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
    pub(crate) rotary: Rotary,
    pub(crate) mask: AttentionMask,
}

/// Weights of one block.
#[derive(Clone, Debug)]
pub(crate) struct DecoderLayer {
    pub(crate) input_norm: Tensor<1>,
    pub(crate) post_attention_norm: Tensor<1>,
    /// In the order of [`Projection::ALL`].
    pub(crate) projections: [Linear; 7],
}

impl DecoderLayer {
    /// `x: [tokens, hidden]` to the same shape.
    pub(crate) fn forward(
        &self,
        config: &DecoderConfig,
        x: Tensor<2>,
        span: &Span,
        adapter: Option<&LayerAdapter>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<2> {
        let map = |which: Projection| {
            (&self.projections[which as usize], adapter.and_then(|a| a.get(which)))
        };
        let heads =
            |x: Tensor<2>, heads: usize| x.reshape([span.batch, span.seq, heads, config.head_dim]);

        let h = rms_norm(x.clone(), &self.input_norm, config.rms_norm_eps);
        let [q, k, v] = project(h, [Projection::Q, Projection::K, Projection::V].map(map));
        let q = span.rotary.apply(heads(q, config.num_heads));
        let k = span.rotary.apply(heads(k, config.num_kv_heads));
        let v = heads(v, config.num_kv_heads);
        let attended = attend(q, k, v, &span.mask, cache);
        let [o] = project(attended, [map(Projection::O)]);
        let x = x + o;

        let h = rms_norm(x.clone(), &self.post_attention_norm, config.rms_norm_eps);
        let [gate, up] = project(h, [Projection::Gate, Projection::Up].map(map));
        let [down] = project(activation::silu(gate) * up, [map(Projection::Down)]);
        x + down
    }
}
