//! The shape of a decoder, read from `config.json` or from GGUF metadata.
//!
//! One [`DecoderConfig`] describes every family this crate runs; a family adds a mapping of names and
//! flags here, never a copy of a layer.

mod family;
mod fields;
mod from_gguf;
mod from_hf;
mod rope;
mod to_hf;

use std::path::Path;

use crate::LmError;

pub(crate) use from_gguf::GgufTensors;

pub use family::{Activation, Family, LayerKind, LayerRope};
pub use rope::RopeScaling;

/// Shapes and constants of a decoder-only language model.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Whose conventions names and files follow.
    pub family: Family,
    /// Whether the decoder is the language model of a multimodal checkpoint, nested in its names.
    pub nested: bool,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub num_layers: usize,
    /// What differs from block to block; one entry each.
    pub layers: Vec<LayerKind>,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// How many tokens back a windowed block looks, its own included.
    pub sliding_window: Option<usize>,
    /// What scores are multiplied by before the softmax; `head_dim^-0.5` in most families.
    pub attention_scale: f64,
    /// Added to the mean square inside every RMS norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Base of the rotary frequencies of [`LayerRope::Local`] blocks, which are never stretched.
    pub rope_local_theta: f64,
    /// How the rotary frequencies are stretched.
    pub rope_scaling: Option<RopeScaling>,
    /// Context length in tokens.
    pub max_position: usize,
    /// Whether the head shares the embedding's weights.
    pub tie_embeddings: bool,
    /// What embeddings are multiplied by; 1 in most families.
    pub embed_scale: f64,
    /// Whether q, k and v carry a bias.
    pub qkv_bias: bool,
    /// Whether o carries a bias.
    pub output_bias: bool,
    /// Whether gate, up and down carry a bias.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalised, head by head, before they are rotated.
    pub qk_norm: bool,
    /// Whether what attention and feed-forward layer give is normalised before it is added.
    pub output_norms: bool,
    /// Between gate and product.
    pub activation: Activation,
    /// Logits `z` become `c tanh(z / c)`, for this `c`. (Gemma's `attn_logit_softcapping` is read by
    /// transformers and llama.cpp but applied by neither for Gemma 3, hence not here.)
    pub final_softcap: Option<f64>,
}

impl DecoderConfig {
    /// Query heads that share one key and value head.
    #[must_use]
    pub fn group_size(&self) -> usize {
        self.num_heads / self.num_kv_heads
    }

    /// The path of the decoder's modules: `model`, or where a multimodal checkpoint nests it.
    #[must_use]
    pub fn root(&self) -> &'static str {
        if self.nested { "model.language_model" } else { "model" }
    }

    /// How far back a block of this kind looks.
    pub(crate) fn window(&self, kind: LayerKind) -> Option<usize> {
        self.sliding_window.filter(|_| kind.windowed)
    }

    /// The `head_dim / 2` rotary frequencies of a block, in radians a token.
    pub(crate) fn rope_frequencies(&self, rope: LayerRope) -> Vec<f64> {
        let bases = match rope {
            LayerRope::None => return vec![0.0; self.head_dim / 2],
            LayerRope::Local => return self.unscaled_frequencies(self.rope_local_theta),
            LayerRope::Global => self.unscaled_frequencies(self.rope_theta),
        };
        match &self.rope_scaling {
            None => bases,
            Some(scaling) => {
                let divisors = scaling.divisors(&bases, self.rope_theta);
                bases.iter().zip(divisors).map(|(base, divisor)| base / divisor).collect()
            }
        }
    }

    /// What cosines and sines of a block are multiplied by; 1 but for YaRN.
    pub(crate) fn rope_magnitude(&self, rope: LayerRope) -> f64 {
        match (&self.rope_scaling, rope) {
            (Some(scaling), LayerRope::Global) => scaling.magnitude(),
            _ => 1.0,
        }
    }

    fn unscaled_frequencies(&self, theta: f64) -> Vec<f64> {
        let exponent = |i: usize| -2.0 * i as f64 / self.head_dim as f64;
        (0..self.head_dim / 2).map(|i| theta.powf(exponent(i))).collect()
    }

    pub(crate) fn validated(self, path: &Path) -> Result<Self, LmError> {
        let bad = |reason: String| Err(LmError::file(path, reason));
        for (name, value, limit) in [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("hidden_size", self.hidden_size, 1 << 17),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("num_attention_heads", self.num_heads, 1 << 12),
            ("num_key_value_heads", self.num_kv_heads, 1 << 12),
            ("head_dim", self.head_dim, 1 << 12),
            ("max_position_embeddings", self.max_position, 1 << 26),
            ("sliding_window", self.sliding_window.unwrap_or(1), usize::MAX),
        ] {
            if value == 0 || value > limit {
                return bad(format!("{name} is {value}; expected 1 to {limit}"));
            }
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            return bad(format!(
                "num_attention_heads ({}) is not a multiple of num_key_value_heads ({})",
                self.num_heads, self.num_kv_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return bad(format!("head_dim is {}; rotary embedding needs it even", self.head_dim));
        }
        if self.sliding_window.is_none() && self.layers.iter().any(|layer| layer.windowed) {
            return bad(
                "layer_types names sliding_attention, but there is no sliding_window".into()
            );
        }
        self.validated_numbers(path)
    }

    fn validated_numbers(self, path: &Path) -> Result<Self, LmError> {
        let bad = |reason: String| Err(LmError::file(path, reason));
        if let Some(RopeScaling::Factors(f)) = &self.rope_scaling
            && f.len() != self.head_dim / 2
        {
            let expected = self.head_dim / 2;
            return bad(format!("rope_freqs has {} values, expected {expected}", f.len()));
        }
        for (name, value) in [
            ("rope_theta", self.rope_theta),
            ("rope_local_base_freq", self.rope_local_theta),
            ("query_pre_attn_scalar (its power)", self.attention_scale),
            ("final_logit_softcapping", self.final_softcap.unwrap_or(1.0)),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return bad(format!("{name} is {value}; expected a number above 0"));
            }
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0) {
            return bad(format!("rms_norm_eps is {}; expected at least 0", self.rms_norm_eps));
        }
        let frequencies = self.rope_frequencies(LayerRope::Global);
        let magnitude = self.rope_magnitude(LayerRope::Global);
        if !frequencies.iter().chain([&magnitude]).all(|f| f.is_finite() && *f > 0.0) {
            return bad("its rotary scaling makes a frequency that is not above 0".into());
        }
        Ok(self)
    }
}
