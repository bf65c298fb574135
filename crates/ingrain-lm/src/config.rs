//! The shape of a decoder, read from `config.json` or from GGUF metadata.
//!
//! One [`DecoderConfig`] describes every family this crate runs; a family adds a mapping of names and
//! flags here, never a copy of a layer.

use std::path::Path;

use ingrain_gguf::GgufFile;
use serde_json::{Map, Value, json};

use crate::LmError;

/// How rotary frequencies are stretched beyond the length a model was first trained for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Llama 3.1: low frequencies are divided by `factor`, high ones kept, a ramp between.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_max_position / low_freq_factor` are divided in full.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context of the first training, in tokens.
        original_max_position: usize,
    },
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Divisors given one a frequency (GGUF stores Llama 3.1's in `rope_freqs.weight`).
    Factors(Vec<f32>),
}

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
        let rope_theta = match nested.as_ref().map(|n| n.number_or("rope_theta", f64::NAN)) {
            Some(theta) if theta.as_ref().is_ok_and(|t| !t.is_nan()) => theta?,
            _ => fields.number_or("rope_theta", 10_000.0)?,
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
        let scaling = match file.get::<&str>(&key("rope.scaling.type"))? {
            Some("linear") => {
                Some(RopeScaling::Linear {
                    factor: f64::from(file.require::<f32>(&key("rope.scaling.factor"))?),
                })
            }
            _ => rope_factors.map(RopeScaling::Factors),
        };
        let config = Self {
            vocab_size,
            hidden_size,
            intermediate_size: size("feed_forward_length")?,
            num_layers: size("block_count")?,
            num_heads,
            num_kv_heads: optional("attention.head_count_kv")?.unwrap_or(num_heads),
            head_dim: optional("attention.key_length")?.unwrap_or(hidden_size / num_heads.max(1)),
            rms_norm_eps: f64::from(
                file.require::<f32>(&key("attention.layer_norm_rms_epsilon"))?,
            ),
            rope_theta: number("rope.freq_base")?.unwrap_or(10_000.0),
            rope_scaling: scaling,
            max_position: size("context_length")?,
            tie_embeddings: tied,
            attention_bias: file.tensor("blk.0.attn_q.bias").is_some(),
            mlp_bias: file.tensor("blk.0.ffn_gate.bias").is_some(),
        };
        config.validated(path)
    }

    /// The equivalent HF `config.json`, for exports.
    #[must_use]
    pub fn to_hf(&self) -> Value {
        let rope_scaling = match &self.rope_scaling {
            None | Some(RopeScaling::Factors(_)) => Value::Null,
            Some(RopeScaling::Linear { factor }) => {
                json!({"rope_type": "linear", "factor": factor})
            }
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position,
            }) => json!({
                "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_max_position,
            }),
        };
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": self.vocab_size, "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads, "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim, "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta, "rope_scaling": rope_scaling,
            "max_position_embeddings": self.max_position,
            "tie_word_embeddings": self.tie_embeddings, "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias, "torch_dtype": "float32",
        })
    }

    /// Query heads that share one key and value head.
    #[must_use]
    pub fn group_size(&self) -> usize {
        self.num_heads / self.num_kv_heads
    }

    /// Divisor of each of the `head_dim / 2` rotary frequencies, times the frequency itself.
    pub(crate) fn rope_frequencies(&self) -> Vec<f64> {
        let half = self.head_dim / 2;
        (0..half)
            .map(|i| {
                let base = self.rope_theta.powf(-2.0 * i as f64 / self.head_dim as f64);
                match &self.rope_scaling {
                    None => base,
                    Some(RopeScaling::Linear { factor }) => base / factor,
                    Some(RopeScaling::Factors(factors)) => base / f64::from(factors[i]),
                    Some(RopeScaling::Llama3 {
                        factor,
                        low_freq_factor,
                        high_freq_factor,
                        original_max_position,
                    }) => {
                        let length = *original_max_position as f64;
                        let wavelength = std::f64::consts::TAU / base;
                        if wavelength < length / high_freq_factor {
                            base
                        } else if wavelength > length / low_freq_factor {
                            base / factor
                        } else {
                            let smooth = (length / wavelength - low_freq_factor)
                                / (high_freq_factor - low_freq_factor);
                            (1.0 - smooth) * base / factor + smooth * base
                        }
                    }
                }
            })
            .collect()
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
            return bad(format!("rope_freqs has {} values, expected {}", f.len(), self.head_dim / 2));
        }
        if !(self.rope_theta > 0.0 && self.rms_norm_eps >= 0.0) {
            return bad("rope_theta must be above 0 and rms_norm_eps at least 0".into());
        }
        Ok(self)
    }
}

/// Typed access to a JSON object, with errors that name file and field.
struct Fields<'a> {
    path: &'a Path,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn wrong(&self, name: &str, expected: &str) -> LmError {
        match self.object.get(name) {
            Some(found) => {
                LmError::file(self.path, format!("{name} is {found}; expected {expected}"))
            }
            None => LmError::file(self.path, format!("{name} is missing; expected {expected}")),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str, LmError> {
        self.object.get(name).and_then(Value::as_str).ok_or_else(|| self.wrong(name, "a string"))
    }

    fn size(&self, name: &str) -> Result<usize, LmError> {
        self.object
            .get(name)
            .and_then(Value::as_u64)
            .map(|v| v as usize)
            .ok_or_else(|| self.wrong(name, "a whole number"))
    }

    fn size_or(&self, name: &str, default: usize) -> Result<usize, LmError> {
        if self.is_absent(name) { Ok(default) } else { self.size(name) }
    }

    fn number_or(&self, name: &str, default: f64) -> Result<f64, LmError> {
        if self.is_absent(name) {
            return Ok(default);
        }
        self.object.get(name).and_then(Value::as_f64).ok_or_else(|| self.wrong(name, "a number"))
    }

    fn flag_or(&self, name: &str, default: bool) -> Result<bool, LmError> {
        if self.is_absent(name) {
            return Ok(default);
        }
        self.object
            .get(name)
            .and_then(Value::as_bool)
            .ok_or_else(|| self.wrong(name, "true or false"))
    }

    fn object(&self, name: &str) -> Result<Option<Fields<'a>>, LmError> {
        if self.is_absent(name) {
            return Ok(None);
        }
        let object = self
            .object
            .get(name)
            .and_then(Value::as_object)
            .ok_or_else(|| self.wrong(name, "an object"))?;
        Ok(Some(Fields { path: self.path, object }))
    }

    fn is_absent(&self, name: &str) -> bool {
        self.object.get(name).is_none_or(Value::is_null)
    }

    fn rope_scaling(&self) -> Result<Option<RopeScaling>, LmError> {
        let kind = if self.is_absent("rope_type") && self.is_absent("type") {
            "default"
        } else if self.is_absent("rope_type") {
            self.text("type")?
        } else {
            self.text("rope_type")?
        };
        match kind {
            "default" => Ok(None),
            "linear" => Ok(Some(RopeScaling::Linear { factor: self.positive("factor")? })),
            "llama3" => Ok(Some(RopeScaling::Llama3 {
                factor: self.positive("factor")?,
                low_freq_factor: self.positive("low_freq_factor")?,
                high_freq_factor: self.positive("high_freq_factor")?,
                original_max_position: self.size("original_max_position_embeddings")?,
            })),
            other => Err(LmError::file(
                self.path,
                format!("rope_type {other:?} is not supported; supported: default, linear, llama3"),
            )),
        }
    }

    fn positive(&self, name: &str) -> Result<f64, LmError> {
        match self.object.get(name).and_then(Value::as_f64) {
            Some(v) if v > 0.0 => Ok(v),
            _ => Err(self.wrong(name, "a number above 0")),
        }
    }
}
