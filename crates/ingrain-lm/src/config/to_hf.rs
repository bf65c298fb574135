//! To an HF `config.json`, in the layout of transformers 4, which 5 reads too.

use serde_json::{Value, json};

use super::{DecoderConfig, Family, LayerRope, RopeScaling};
use crate::LmError;

impl DecoderConfig {
    /// The equivalent HF `config.json`, for exports. A decoder out of a multimodal checkpoint becomes
    /// the text-only model of its family.
    ///
    /// # Errors
    /// [`LmError::Config`] if rotary divisors out of a GGUF file follow no rule that the form knows.
    pub fn to_hf(&self) -> Result<Value, LmError> {
        let rope_scaling = match &self.rope_scaling {
            None => Value::Null,
            Some(scaling) => {
                scaling.to_hf(&self.unscaled_frequencies(self.rope_theta)).ok_or_else(|| {
                    LmError::Config(
                        "rope_freqs.weight follows no rule that config.json can express; \
                         export from the model's HF directory instead"
                            .into(),
                    )
                })?
            }
        };
        let mut config = json!({
            "architectures": [self.family.architecture()],
            "model_type": self.family.model_type(), "hidden_act": "silu",
            "vocab_size": self.vocab_size, "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads, "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim, "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta, "rope_scaling": rope_scaling,
            "max_position_embeddings": self.max_position,
            "tie_word_embeddings": self.tie_embeddings, "attention_bias": self.output_bias,
            "mlp_bias": self.mlp_bias, "torch_dtype": "float32",
        });
        let types = || -> Value {
            let name = |windowed| if windowed { "sliding_attention" } else { "full_attention" };
            self.layers.iter().map(|layer| name(layer.windowed)).collect()
        };
        match self.family {
            Family::Llama => {}
            Family::Mistral => config["sliding_window"] = json!(self.sliding_window),
            Family::Qwen2 | Family::Qwen3 => {
                config["use_sliding_window"] = json!(self.sliding_window.is_some());
                config["sliding_window"] = json!(self.sliding_window);
                config["layer_types"] = types();
            }
            Family::SmolLm3 => {
                let rotated = |rope| u8::from(rope != LayerRope::None);
                config["no_rope_layers"] =
                    self.layers.iter().map(|layer| rotated(layer.rope)).collect();
                config["use_sliding_window"] = json!(self.sliding_window.is_some());
                config["sliding_window"] = json!(self.sliding_window);
                config["layer_types"] = types();
            }
            Family::Gemma3 => self.add_gemma(&mut config, types()),
        }
        Ok(config)
    }

    fn add_gemma(&self, config: &mut Value, types: Value) {
        // Integers where the form has integers; the power loses the last digits.
        let scalar = self.attention_scale.powi(-2);
        let whole = scalar.round();
        let scalar = if (scalar - whole).abs() < 1e-6 { whole } else { scalar };
        config["query_pre_attn_scalar"] = json!(scalar);
        config["hidden_activation"] = json!("gelu_pytorch_tanh");
        config["final_logit_softcapping"] = json!(self.final_softcap);
        config["attn_logit_softcapping"] = Value::Null;
        config["rope_local_base_freq"] = json!(self.rope_local_theta);
        config["sliding_window"] = json!(self.sliding_window);
        config["layer_types"] = types;
        if let Some(fields) = config.as_object_mut() {
            fields.remove("hidden_act");
        }
    }
}

impl RopeScaling {
    /// The object under `rope_scaling` in `config.json`; `None` for divisors that no form expresses.
    ///
    /// `bases` are the unscaled frequencies.
    pub(super) fn to_hf(&self, bases: &[f64]) -> Option<Value> {
        match self {
            Self::Linear { factor } => Some(json!({"rope_type": "linear", "factor": factor})),
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                Some(json!({
                    "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                    "high_freq_factor": high_freq_factor,
                    "original_max_position_embeddings": original_max_position,
                }))
            }
            Self::Yarn {
                factor,
                original_max_position,
                beta_fast,
                beta_slow,
                attention_factor,
                truncate,
            } => Some(json!({
                "rope_type": "yarn", "factor": factor, "beta_fast": beta_fast, "beta_slow": beta_slow,
                "original_max_position_embeddings": original_max_position,
                "attention_factor": attention_factor, "truncate": truncate,
            })),
            Self::Factors(factors) if factors.iter().all(|f| *f == 1.0) => Some(Value::Null),
            Self::Factors(factors) => Self::llama3_of(factors, bases)?.to_hf(bases),
        }
    }
}
