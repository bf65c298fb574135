//! The shape of a decoder, read from `config.json` or from GGUF metadata.
//!
//! One [`DecoderConfig`] describes every family this crate runs; a family adds a mapping of names and
//! flags here, never a copy of a layer.

mod fields;
mod rope;

use std::path::Path;

use ingrain_gguf::GgufFile;
use serde_json::{Value, json};

use self::fields::Fields;
use crate::LmError;

pub use rope::RopeScaling;

/// Shapes and constants of a decoder-only language model.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Added to the mean square inside every RMS norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are stretched.
    pub rope_scaling: Option<RopeScaling>,
    /// Context length in tokens.
    pub max_position: usize,
    /// Whether the head shares the embedding's weights.
    pub tie_embeddings: bool,
    /// Whether q, k, v and o carry a bias.
    pub attention_bias: bool,
    /// Whether gate, up and down carry a bias.
    pub mlp_bias: bool,
}

impl DecoderConfig {
    /// Reads an HF `config.json`.
    ///
    /// # Errors
    /// [`LmError::Io`] if it cannot be read, [`LmError::File`] naming the field that is missing, of the
    /// wrong type, absurd, or asks for an architecture that is not supported.
    pub fn from_hf_file(path: &Path) -> Result<Self, LmError> {
        let text = std::fs::read_to_string(path).map_err(LmError::io(path))?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| LmError::file(path, format!("is not valid JSON: {e}")))?;
        let object =
            value.as_object().ok_or_else(|| LmError::file(path, "must be a JSON object"))?;
        let fields = Fields { path, object };
        let family = fields.text("model_type")?;
        if family != "llama" {
            return Err(LmError::file(
                path,
                format!("model_type {family:?} is not supported; supported: llama"),
            ));
        }
        let hidden_size = fields.size("hidden_size")?;
        let num_heads = fields.size("num_attention_heads")?;
        // Recent transformers nest theta and scaling under `rope_parameters`.
        let nested = fields.object("rope_parameters")?.or(fields.object("rope_scaling")?);
        let rope_theta = fields.number_or("rope_theta", 10_000.0)?;
        let rope_theta = match &nested {
            Some(nested) => nested.number_or("rope_theta", rope_theta)?,
            None => rope_theta,
        };
        if let Some(act) = object.get("hidden_act").and_then(Value::as_str)
            && act != "silu"
        {
            return Err(LmError::file(path, format!("hidden_act {act:?} is not supported (silu)")));
        }
        let config = Self {
            vocab_size: fields.size("vocab_size")?,
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            num_layers: fields.size("num_hidden_layers")?,
            num_heads,
            num_kv_heads: fields.size_or("num_key_value_heads", num_heads)?,
            head_dim: fields.size_or("head_dim", hidden_size / num_heads.max(1))?,
            rms_norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
            rope_theta,
            rope_scaling: nested.map(|n| n.rope_scaling()).transpose()?.flatten(),
            max_position: fields.size_or("max_position_embeddings", 2048)?,
            tie_embeddings: fields.flag_or("tie_word_embeddings", false)?,
            attention_bias: fields.flag_or("attention_bias", false)?,
            mlp_bias: fields.flag_or("mlp_bias", false)?,
        };
        config.validated(path)
    }

    /// Reads GGUF metadata. `tied` and `rope_factors` come from the tensors that the file holds.
    ///
    /// # Errors
    /// As [`DecoderConfig::from_hf_file`], naming the metadata key.
    pub fn from_gguf(
        file: &GgufFile,
        path: &Path,
        tied: bool,
        rope_factors: Option<Vec<f32>>,
        vocab_size: usize,
    ) -> Result<Self, LmError> {
        let family: &str = file.require("general.architecture")?;
        if family != "llama" {
            return Err(LmError::file(
                path,
                format!("general.architecture {family:?} is not supported; supported: llama"),
            ));
        }
        let key = |name: &str| format!("{family}.{name}");
        let size = |name: &str| file.require::<u64>(&key(name)).map(|v| v as usize);
        let optional = |name: &str| file.get::<u64>(&key(name)).map(|v| v.map(|v| v as usize));
        let number = |name: &str| file.get::<f32>(&key(name)).map(|v| v.map(f64::from));
        let hidden_size = size("embedding_length")?;
        let num_heads = size("attention.head_count")?;
        let scaling_key = key("rope.scaling.type");
        let scaling = match file.get::<&str>(&scaling_key)? {
            None | Some("none") => rope_factors.map(RopeScaling::Factors),
            Some("linear") => {
                let factor = f64::from(file.require::<f32>(&key("rope.scaling.factor"))?);
                Some(RopeScaling::Linear { factor })
            }
            Some(other) => {
                return Err(LmError::file(
                    path,
                    format!("{scaling_key} is {other:?}; supported: none, linear"),
                ));
            }
        };
        let config = Self {
            vocab_size,
            hidden_size,
            intermediate_size: size("feed_forward_length")?,
            num_layers: size("block_count")?,
            num_heads,
            num_kv_heads: optional("attention.head_count_kv")?.unwrap_or(num_heads),
            head_dim: optional("attention.key_length")?.unwrap_or(hidden_size / num_heads.max(1)),
            rms_norm_eps: f64::from(file.require::<f32>(&key("attention.layer_norm_rms_epsilon"))?),
            rope_theta: number("rope.freq_base")?.unwrap_or(10_000.0),
            rope_scaling: scaling,
            max_position: size("context_length")?,
            tie_embeddings: tied,
            attention_bias: file.tensor("blk.0.attn_q.bias").is_some(),
            mlp_bias: file.tensor("blk.0.ffn_gate.bias").is_some(),
        };
        let config = config.validated(path)?;
        if let Some(rotated) = optional("rope.dimension_count")?
            && rotated != config.head_dim
        {
            let name = key("rope.dimension_count");
            return Err(LmError::file(
                path,
                format!(
                    "{name} is {rotated}; only whole heads ({}) are supported",
                    config.head_dim
                ),
            ));
        }
        Ok(config)
    }

    /// The equivalent HF `config.json`, for exports.
    ///
    /// # Errors
    /// [`LmError::Config`] if rotary divisors out of a GGUF file follow no rule that the form knows.
    pub fn to_hf(&self) -> Result<Value, LmError> {
        let rope_scaling = match &self.rope_scaling {
            None => Value::Null,
            Some(scaling) => scaling.to_hf(&self.unscaled_frequencies()).ok_or_else(|| {
                LmError::Config(
                    "rope_freqs.weight follows no rule that config.json can express; \
                     export from the model's HF directory instead"
                        .into(),
                )
            })?,
        };
        Ok(json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": self.vocab_size, "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads, "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim, "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta, "rope_scaling": rope_scaling,
            "max_position_embeddings": self.max_position,
            "tie_word_embeddings": self.tie_embeddings, "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias, "torch_dtype": "float32",
        }))
    }

    /// Query heads that share one key and value head.
    #[must_use]
    pub fn group_size(&self) -> usize {
        self.num_heads / self.num_kv_heads
    }

    /// The `head_dim / 2` rotary frequencies, in radians a token.
    pub(crate) fn rope_frequencies(&self) -> Vec<f64> {
        let divisor = |(index, base): (usize, f64)| match &self.rope_scaling {
            None => base,
            Some(scaling) => base / scaling.divisor(index, base),
        };
        self.unscaled_frequencies().into_iter().enumerate().map(divisor).collect()
    }

    fn unscaled_frequencies(&self) -> Vec<f64> {
        let exponent = |i: usize| -2.0 * i as f64 / self.head_dim as f64;
        (0..self.head_dim / 2).map(|i| self.rope_theta.powf(exponent(i))).collect()
    }

    fn validated(self, path: &Path) -> Result<Self, LmError> {
        let bad = |reason: String| Err(LmError::file(path, reason));
        for (name, value, limit) in [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("hidden_size", self.hidden_size, 1 << 17),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("num_hidden_layers", self.num_layers, 1 << 10),
            ("num_attention_heads", self.num_heads, 1 << 12),
            ("num_key_value_heads", self.num_kv_heads, 1 << 12),
            ("head_dim", self.head_dim, 1 << 12),
            ("max_position_embeddings", self.max_position, 1 << 26),
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
        if let Some(RopeScaling::Factors(f)) = &self.rope_scaling
            && f.len() != self.head_dim / 2
        {
            return bad(format!(
                "rope_freqs has {} values, expected {}",
                f.len(),
                self.head_dim / 2
            ));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return bad(format!("rope_theta is {}; expected a number above 0", self.rope_theta));
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0) {
            return bad(format!("rms_norm_eps is {}; expected at least 0", self.rms_norm_eps));
        }
        if !self.rope_frequencies().iter().all(|f| f.is_finite() && *f > 0.0) {
            return bad("its rotary scaling makes a frequency that is not above 0".into());
        }
        Ok(self)
    }
}
