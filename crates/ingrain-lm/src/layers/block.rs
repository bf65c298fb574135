//! One decoder block.

use burn::tensor::{Tensor, activation};

use super::attention::attend;
use super::fused;

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
    /// Whether backward passes compute the inside of a block again instead of keeping it.
    pub(crate) recompute: bool,
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
        mut cache: Option<&mut LayerCache>,
    ) -> Tensor<2> {
        fused::forward(self, config, &x, span, adapter, cache.as_deref_mut())
            .unwrap_or_else(|| self.compose(config, x, span, adapter, cache))
    }

    /// The block as a composition of Burn operations, for every back end.
    pub(super) fn compose(
        &self,
        config: &DecoderConfig,
        x: Tensor<2>,
        span: &Span,
        adapter: Option<&LayerAdapter>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<2> {
        let project = |which: Projection, x: Tensor<2>| {
            self.projections[which as usize].forward(x, adapter.and_then(|a| a.get(which)))
        };
        let heads =
            |x: Tensor<2>, heads: usize| x.reshape([span.batch, span.seq, heads, config.head_dim]);

        let h = rms_norm(x.clone(), &self.input_norm, config.rms_norm_eps);
        let q = span.rotary.apply(heads(project(Projection::Q, h.clone()), config.num_heads));
        let k = span.rotary.apply(heads(project(Projection::K, h.clone()), config.num_kv_heads));
        let v = heads(project(Projection::V, h), config.num_kv_heads);
        let attended = attend(q, k, v, &span.mask, cache);
        let x = x + project(Projection::O, attended);

        let h = rms_norm(x.clone(), &self.post_attention_norm, config.rms_norm_eps);
        let gate = activation::silu(project(Projection::Gate, h.clone()));
        let up = project(Projection::Up, h);
        x + project(Projection::Down, gate * up)
    }
}
