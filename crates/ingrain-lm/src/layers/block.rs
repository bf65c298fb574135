//! One decoder block.

use burn::tensor::{Device, Tensor, activation};

use super::attention::{Mask, attend};
use super::fused;
use super::{Branches, LayerCache, Linear, Placement, Rotary, rms_norm};
use crate::DecoderConfig;
use crate::config::{Activation, LayerKind};
use crate::lora::{LayerAdapter, Projection};

/// What blocks of one kind need to know about the tokens of a forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
    pub(crate) rotary: Rotary,
    /// How many keys a query sees, from its own back, where that is not all.
    pub(crate) window: Option<usize>,
    /// Which rows hold two sequences, where some do.
    pub(crate) branches: Option<Branches>,
    /// Where the tokens go, in a pass over the cache.
    pub(crate) placement: Option<Placement>,
    /// Whether backward passes compute the inside of a block again instead of keeping it.
    pub(crate) recompute: bool,
}

impl Span {
    /// Which keys the queries of a pass over whole sequences may not look at.
    fn mask(&self, device: &Device) -> Mask {
        match &self.branches {
            Some(branches) => Mask::Hidden(branches.hidden(device)),
            None => Mask::Causal { window: self.window },
        }
    }
}

/// The norms that a block may have, by what they are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    /// The input of attention.
    Input,
    /// Each query.
    Query,
    /// Each key.
    Key,
    /// What attention gives.
    AttentionOutput,
    /// The input of the feed-forward layer.
    FeedForward,
    /// What the feed-forward layer gives.
    FeedForwardOutput,
}

/// Norms over single queries and keys, `[head_dim]` each.
#[derive(Clone, Debug)]
pub(crate) struct QkNorms {
    pub(crate) q: Tensor<1>,
    pub(crate) k: Tensor<1>,
}

/// Norms of what is added to the residual stream, `[hidden]` each.
#[derive(Clone, Debug)]
pub(crate) struct OutputNorms {
    pub(crate) attention: Tensor<1>,
    pub(crate) feed_forward: Tensor<1>,
}

/// Weights of one block.
#[derive(Clone, Debug)]
pub(crate) struct DecoderLayer {
    pub(crate) kind: LayerKind,
    pub(crate) input_norm: Tensor<1>,
    /// Before the feed-forward layer.
    pub(crate) post_attention_norm: Tensor<1>,
    pub(crate) qk_norms: Option<QkNorms>,
    pub(crate) output_norms: Option<OutputNorms>,
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
        let norm = |x: Tensor<2>, weight: Option<&Tensor<1>>| match weight {
            Some(weight) => rms_norm(x, weight, config.rms_norm_eps),
            None => x,
        };
        let heads = |x: Tensor<2>, heads: usize, weight: Option<&Tensor<1>>| {
            let tokens = span.batch * span.seq;
            let x = norm(x.reshape([tokens * heads, config.head_dim]), weight);
            x.reshape([span.batch, span.seq, heads, config.head_dim])
        };
        let (qk, outputs) = (self.qk_norms.as_ref(), self.output_norms.as_ref());

        let h = norm(x.clone(), Some(&self.input_norm));
        let q = heads(project(Projection::Q, h.clone()), config.num_heads, qk.map(|n| &n.q));
        let k = heads(project(Projection::K, h.clone()), config.num_kv_heads, qk.map(|n| &n.k));
        let v = heads(project(Projection::V, h), config.num_kv_heads, None);
        let qkv = [span.rotary.apply(q), span.rotary.apply(k), v];
        let cache = cache.zip(span.placement.as_ref());
        let device = x.device().inner();
        let attended = attend(qkv, config.attention_scale, span.mask(&device), cache);
        let x = x + norm(project(Projection::O, attended), outputs.map(|n| &n.attention));

        let h = norm(x.clone(), Some(&self.post_attention_norm));
        let gate = project(Projection::Gate, h.clone());
        let gate = match config.activation {
            Activation::Silu => activation::silu(gate),
            Activation::GeluTanh => activation::gelu_approximate(gate),
        };
        let down = project(Projection::Down, gate * project(Projection::Up, h));
        x + norm(down, outputs.map(|n| &n.feed_forward))
    }

    /// The norms that the block has.
    pub(crate) fn norms(&self) -> Vec<(Norm, &Tensor<1>)> {
        let mut norms = vec![(Norm::Input, &self.input_norm)];
        if let Some(QkNorms { q, k }) = &self.qk_norms {
            norms.extend([(Norm::Query, q), (Norm::Key, k)]);
        }
        if let Some(OutputNorms { attention, feed_forward }) = &self.output_norms {
            norms.extend([
                (Norm::AttentionOutput, attention),
                (Norm::FeedForwardOutput, feed_forward),
            ]);
        }
        norms.push((Norm::FeedForward, &self.post_attention_norm));
        norms
    }

    /// The same, to be changed.
    pub(crate) fn norms_mut(&mut self) -> Vec<&mut Tensor<1>> {
        let mut norms = vec![&mut self.input_norm];
        if let Some(QkNorms { q, k }) = &mut self.qk_norms {
            norms.extend([q, k]);
        }
        if let Some(OutputNorms { attention, feed_forward }) = &mut self.output_norms {
            norms.extend([attention, feed_forward]);
        }
        norms.push(&mut self.post_attention_norm);
        norms
    }

    /// Whether there is nothing in the block that only some families have.
    pub(crate) fn is_plain(&self, config: &DecoderConfig) -> bool {
        let usual_scale = (config.head_dim as f64).powf(-0.5);
        self.qk_norms.is_none()
            && self.output_norms.is_none()
            && config.activation == Activation::Silu
            && (config.attention_scale - usual_scale).abs() < 1e-12
    }
}

/// The spans of one forward pass, one for each kind of block that the model has.
pub(crate) struct Spans(Vec<(LayerKind, Span)>);

impl Spans {
    /// `make` is asked once for each kind.
    pub(crate) fn new(config: &DecoderConfig, make: impl Fn(LayerKind) -> Span) -> Self {
        let mut spans: Vec<(LayerKind, Span)> = Vec::with_capacity(3);
        for &kind in &config.layers {
            if !spans.iter().any(|(known, _)| *known == kind) {
                spans.push((kind, make(kind)));
            }
        }
        Self(spans)
    }

    /// The span of a block of this kind.
    ///
    /// # Panics
    /// If the model has no block of this kind.
    pub(crate) fn of(&self, kind: LayerKind) -> &Span {
        match self.0.iter().find(|(known, _)| *known == kind) {
            Some((_, span)) => span,
            None => unreachable!("made from the same list of layers"),
        }
    }
}
