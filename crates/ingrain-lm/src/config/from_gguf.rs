//! From GGUF metadata.

use std::path::Path;

use ingrain_gguf::GgufFile;

use super::{Activation, DecoderConfig, Family, LayerKind, LayerRope, RopeScaling};
use crate::LmError;

/// SmolLM3 in GGUF: llama.cpp leaves every fourth block without positions.
const SMOLLM3_INTERVAL: usize = 4;
/// Gemma 3 in GGUF: llama.cpp lets every sixth block see everything.
const GEMMA3_PATTERN: usize = 6;
/// The one size of Gemma 3 (27B) that scales its scores by another width than the head's.
const GEMMA3_LARGEST: usize = 62;

/// What the tensors of a GGUF file say, beside its metadata.
pub(crate) struct GgufTensors {
    /// Whether there is no head of its own.
    pub(crate) tied: bool,
    /// `rope_freqs.weight`.
    pub(crate) rope_factors: Option<Vec<f32>>,
    /// Rows of the embedding.
    pub(crate) vocab_size: usize,
}

/// Metadata under the architecture's own keys.
struct Keys<'a> {
    file: &'a GgufFile,
    path: &'a Path,
    family: Family,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family.gguf_name())
    }

    fn size(&self, name: &str) -> Result<usize, LmError> {
        Ok(self.file.require::<u64>(&self.key(name))? as usize)
    }

    fn optional_size(&self, name: &str) -> Result<Option<usize>, LmError> {
        Ok(self.file.get::<u64>(&self.key(name))?.map(|v| v as usize))
    }

    fn optional_number(&self, name: &str) -> Result<Option<f64>, LmError> {
        Ok(self.file.get::<f32>(&self.key(name))?.map(f64::from))
    }

    fn scaling(&self, factors: Option<Vec<f32>>) -> Result<Option<RopeScaling>, LmError> {
        let key = self.key("rope.scaling.type");
        let factor = || -> Result<f64, LmError> {
            Ok(f64::from(self.file.require::<f32>(&self.key("rope.scaling.factor"))?))
        };
        match self.file.get::<&str>(&key)? {
            None | Some("none") => Ok(factors.map(RopeScaling::Factors)),
            Some("linear") => Ok(Some(RopeScaling::Linear { factor: factor()? })),
            Some("yarn") => {
                let factor = factor()?;
                let context = match self.optional_size("rope.scaling.original_context_length")? {
                    Some(context) => context,
                    None => self.size("context_length")?,
                };
                Ok(Some(RopeScaling::Yarn {
                    factor,
                    original_max_position: context,
                    beta_fast: 32.0,
                    beta_slow: 1.0,
                    attention_factor: if factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 },
                    truncate: true,
                }))
            }
            Some(other) => {
                let reason = format!("{key} is {other:?}; supported: none, linear, yarn");
                Err(LmError::file(self.path, reason))
            }
        }
    }

    fn layers(&self, num_layers: usize) -> Result<Vec<LayerKind>, LmError> {
        let pattern = match self.family {
            // Newer files may say it, for some architectures by a list.
            Family::Gemma3 => self
                .optional_size("attention.sliding_window_pattern")
                .ok()
                .flatten()
                .unwrap_or(GEMMA3_PATTERN)
                .max(1),
            _ => 1,
        };
        let kind = |index: usize| match self.family {
            Family::Gemma3 if !(index + 1).is_multiple_of(pattern) => {
                LayerKind { windowed: true, rope: LayerRope::Local }
            }
            Family::SmolLm3 if (index + 1).is_multiple_of(SMOLLM3_INTERVAL) => {
                LayerKind { windowed: false, rope: LayerRope::None }
            }
            _ => LayerKind::PLAIN,
        };
        Ok((0..num_layers).map(kind).collect())
    }

    fn attention_scale(
        &self,
        num_layers: usize,
        hidden_size: usize,
        num_heads: usize,
        head_dim: usize,
    ) -> Result<f64, LmError> {
        if let Some(scale) = self.optional_number("attention.scale")?.filter(|s| *s != 0.0) {
            return Ok(scale);
        }
        let width = match self.family {
            Family::Gemma3 if num_layers == GEMMA3_LARGEST => hidden_size / num_heads.max(1),
            _ => head_dim,
        };
        Ok((width as f64).powf(-0.5))
    }
}

impl DecoderConfig {
    /// Reads GGUF metadata.
    ///
    /// # Errors
    /// As [`DecoderConfig::from_hf_file`], naming the metadata key.
    pub(crate) fn from_gguf(
        file: &GgufFile,
        path: &Path,
        tensors: GgufTensors,
    ) -> Result<Self, LmError> {
        let name: &str = file.require("general.architecture")?;
        let family = Family::from_gguf(name).ok_or_else(|| {
            let known = Family::ALL.map(Family::gguf_name).join(", ");
            LmError::file(
                path,
                format!("general.architecture {name:?} is not supported; supported: {known}"),
            )
        })?;
        let keys = Keys { file, path, family };
        let gemma = family == Family::Gemma3;
        let hidden_size = keys.size("embedding_length")?;
        let num_heads = keys.size("attention.head_count")?;
        let num_layers = keys.size("block_count")?;
        if num_layers == 0 || num_layers > 1 << 10 {
            let reason = format!("{} is {num_layers}; expected 1 to 1024", keys.key("block_count"));
            return Err(LmError::file(path, reason));
        }
        let head_dim =
            keys.optional_size("attention.key_length")?.unwrap_or(hidden_size / num_heads.max(1));
        let epsilon = file.require::<f32>(&keys.key("attention.layer_norm_rms_epsilon"))?;
        let has = |name: &str| file.tensor(name).is_some();
        let config = Self {
            family,
            nested: false,
            vocab_size: tensors.vocab_size,
            hidden_size,
            intermediate_size: keys.size("feed_forward_length")?,
            num_layers,
            layers: keys.layers(num_layers)?,
            num_heads,
            num_kv_heads: keys.optional_size("attention.head_count_kv")?.unwrap_or(num_heads),
            head_dim,
            sliding_window: match gemma {
                true => Some(keys.optional_size("attention.sliding_window")?.unwrap_or(4096)),
                false => None,
            },
            attention_scale: keys.attention_scale(num_layers, hidden_size, num_heads, head_dim)?,
            rms_norm_eps: f64::from(epsilon),
            rope_theta: keys.optional_number("rope.freq_base")?.unwrap_or(if gemma {
                1_000_000.0
            } else {
                10_000.0
            }),
            rope_local_theta: keys.optional_number("rope.freq_base_swa")?.unwrap_or(10_000.0),
            rope_scaling: keys.scaling(tensors.rope_factors)?,
            max_position: keys.size("context_length")?,
            tie_embeddings: tensors.tied,
            embed_scale: if gemma { (hidden_size as f64).sqrt() } else { 1.0 },
            qkv_bias: has("blk.0.attn_q.bias"),
            output_bias: has("blk.0.attn_output.bias"),
            mlp_bias: has("blk.0.ffn_gate.bias"),
            qk_norm: matches!(family, Family::Qwen3 | Family::Gemma3),
            output_norms: gemma,
            activation: if gemma { Activation::GeluTanh } else { Activation::Silu },
            final_softcap: keys.optional_number("final_logit_softcapping")?.filter(|c| *c != 0.0),
        };
        let config = config.validated(path)?;
        if let Some(rotated) = keys.optional_size("rope.dimension_count")?
            && rotated != config.head_dim
        {
            let name = keys.key("rope.dimension_count");
            let reason = format!(
                "{name} is {rotated}; only whole heads ({}) are supported",
                config.head_dim
            );
            return Err(LmError::file(path, reason));
        }
        Ok(config)
    }
}
