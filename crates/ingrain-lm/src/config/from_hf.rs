//! From an HF `config.json`, in the layouts of transformers 4 and 5.

use std::path::Path;

use serde_json::Value;

use super::fields::Fields;
use super::{Activation, DecoderConfig, Family, LayerKind, LayerRope, RopeScaling};
use crate::{LmError, small_file};

/// Fields that ask for something this crate does not compute.
const UNSUPPORTED: [(&str, &str); 2] = [
    (
        "quantization_config",
        "weights quantised in a way of their own; load the full-precision ones",
    ),
    ("use_bidirectional_attention", "attention that sees what follows"),
];

/// Base and stretching of the rotary embedding.
struct Rope {
    theta: f64,
    local_theta: f64,
    scaling: Option<RopeScaling>,
}

impl DecoderConfig {
    /// Reads an HF `config.json`.
    ///
    /// # Errors
    /// [`LmError::Io`] if it cannot be read, [`LmError::File`] naming the field that is missing, of the
    /// wrong type, absurd, or asks for an architecture that is not supported.
    pub fn from_hf_file(path: &Path) -> Result<Self, LmError> {
        let text = small_file::read(path)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| LmError::file(path, format!("is not valid JSON: {e}")))?;
        let object =
            value.as_object().ok_or_else(|| LmError::file(path, "must be a JSON object"))?;
        let outer = Fields { path, object };
        let name = outer.text("model_type")?;
        let family = Family::from_model_type(name).ok_or_else(|| {
            let known = Family::ALL.map(Family::model_type).join(", ");
            LmError::file(
                path,
                format!("model_type {name:?} is not supported; supported: {known}, gemma3"),
            )
        })?;
        let nested = outer.object("text_config")?;
        if let Some(inner) = &nested
            && let Some(name) = inner.optional_text("model_type")?
            && Family::from_model_type(name) != Some(family)
        {
            let reason =
                format!("model_type {name:?} of text_config is not supported in a {family:?}");
            return Err(LmError::file(path, reason));
        }
        let is_nested = nested.is_some();
        for fields in [Some(&outer), nested.as_ref()].into_iter().flatten() {
            fields.refuse(&UNSUPPORTED)?;
        }
        // A multimodal checkpoint ties its embeddings in either place.
        let tied = outer.flag_or("tie_word_embeddings", family == Family::Gemma3)?;
        let fields = nested.unwrap_or(outer);
        let config = read(family, &fields, fields.flag_or("tie_word_embeddings", tied)?)?;
        Self { nested: is_nested, ..config }.validated(path)
    }
}

fn read(family: Family, fields: &Fields<'_>, tied: bool) -> Result<DecoderConfig, LmError> {
    let gemma = family == Family::Gemma3;
    // Published Gemma 3 configurations leave out what equals the defaults of transformers.
    let size = |name: &str, gemma_default: usize| match gemma {
        true => fields.size_or(name, gemma_default),
        false => fields.size(name),
    };
    let hidden_size = fields.size("hidden_size")?;
    let num_heads = size("num_attention_heads", 8)?;
    let num_layers = fields.size("num_hidden_layers")?;
    if num_layers == 0 || num_layers > 1 << 10 {
        let reason = format!("num_hidden_layers is {num_layers}; expected 1 to 1024");
        return Err(LmError::file(fields.path, reason));
    }
    let head_dim = match family {
        Family::Gemma3 => 256,
        Family::Qwen3 => 128,
        _ => hidden_size / num_heads.max(1),
    };
    let head_dim = fields.size_or("head_dim", head_dim)?;
    let rope = rope(family, fields)?;
    let sliding_window = sliding_window(family, fields)?;
    let attention_bias = match family {
        Family::Qwen2 | Family::Mistral => false,
        _ => fields.flag_or("attention_bias", false)?,
    };
    let query_scalar = fields.number_or("query_pre_attn_scalar", 256.0)?;
    Ok(DecoderConfig {
        family,
        nested: false,
        vocab_size: size("vocab_size", 262_208)?,
        hidden_size,
        intermediate_size: fields.size("intermediate_size")?,
        num_layers,
        layers: layers(family, fields, num_layers, sliding_window.is_some())?,
        num_heads,
        num_kv_heads: fields.size_or("num_key_value_heads", if gemma { 4 } else { num_heads })?,
        head_dim,
        sliding_window,
        attention_scale: if gemma { query_scalar } else { head_dim as f64 }.powf(-0.5),
        rms_norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
        rope_theta: rope.theta,
        rope_local_theta: rope.local_theta,
        rope_scaling: rope.scaling,
        max_position: fields
            .size_or("max_position_embeddings", if gemma { 131_072 } else { 2048 })?,
        tie_embeddings: tied,
        embed_scale: if gemma { (hidden_size as f64).sqrt() } else { 1.0 },
        qkv_bias: attention_bias || family == Family::Qwen2,
        output_bias: attention_bias,
        mlp_bias: matches!(family, Family::Llama | Family::SmolLm3)
            && fields.flag_or("mlp_bias", false)?,
        qk_norm: matches!(family, Family::Qwen3 | Family::Gemma3),
        output_norms: gemma,
        activation: activation(family, fields)?,
        final_softcap: match gemma {
            true => fields.optional_number("final_logit_softcapping")?,
            false => None,
        },
    })
}

fn activation(family: Family, fields: &Fields<'_>) -> Result<Activation, LmError> {
    let (name, expected, activation) = match family {
        Family::Gemma3 => ("hidden_activation", "gelu_pytorch_tanh", Activation::GeluTanh),
        _ => ("hidden_act", "silu", Activation::Silu),
    };
    match fields.optional_text(name)? {
        Some(other) if other != expected => {
            let reason = format!("{name} {other:?} is not supported ({expected})");
            Err(LmError::file(fields.path, reason))
        }
        _ => Ok(activation),
    }
}

/// Under `rope_parameters` in transformers 5, for each type of layer where they differ; else in fields
/// of their own.
fn rope(family: Family, fields: &Fields<'_>) -> Result<Rope, LmError> {
    let theta = if family == Family::Gemma3 { 1_000_000.0 } else { 10_000.0 };
    let theta = fields.number_or("rope_theta", theta)?;
    let local_theta = fields.number_or("rope_local_base_freq", 10_000.0)?;
    let parameters = fields.object("rope_parameters")?;
    let mut rope = Rope { theta, local_theta, scaling: None };
    let global = match &parameters {
        Some(nested) if nested.has("full_attention") => {
            if let Some(local) = nested.object("sliding_attention")? {
                rope.local_theta = local.number_or("rope_theta", local_theta)?;
                if local.rope_scaling()?.is_some() {
                    let reason = "rope_parameters: only full_attention may be stretched";
                    return Err(LmError::file(fields.path, reason));
                }
            }
            nested.object("full_attention")?
        }
        Some(_) => parameters,
        None => fields.object("rope_scaling")?,
    };
    if let Some(global) = global {
        rope.theta = global.number_or("rope_theta", theta)?;
        rope.scaling = global.rope_scaling()?;
        // YaRN without a first context means that of the model.
        if let Some(RopeScaling::Yarn { original_max_position, .. }) = &mut rope.scaling
            && *original_max_position == 0
        {
            *original_max_position = fields.size("max_position_embeddings")?;
        }
    }
    Ok(rope)
}

fn sliding_window(family: Family, fields: &Fields<'_>) -> Result<Option<usize>, LmError> {
    let used = match family {
        Family::Llama => false,
        Family::Mistral | Family::Gemma3 => true,
        _ => fields.flag_or("use_sliding_window", false)?,
    };
    match used {
        false => Ok(None),
        // Left out it means the default, `null` means none.
        true if !fields.has("sliding_window") => Ok(Some(4096)),
        true => fields.optional_size("sliding_window"),
    }
}

fn layers(
    family: Family,
    fields: &Fields<'_>,
    num_layers: usize,
    has_window: bool,
) -> Result<Vec<LayerKind>, LmError> {
    let bad = |reason: String| LmError::file(fields.path, reason);
    let ropes = match family {
        Family::SmolLm3 => ropes(fields, num_layers)?,
        _ => vec![true; num_layers],
    };
    let types = fields.optional_texts("layer_types")?;
    if let Some(types) = &types
        && types.len() != num_layers
    {
        return Err(bad(format!("layer_types has {} entries, expected {num_layers}", types.len())));
    }
    let windowed = |index: usize| -> Result<bool, LmError> {
        match types.as_ref().map(|types| types[index]) {
            _ if !has_window => Ok(false),
            // Mistral's window holds for all layers, whatever it lists.
            _ if family == Family::Mistral => Ok(true),
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            Some(other) => Err(bad(format!(
                "layer_types: {other:?} is not supported; supported: full_attention, sliding_attention"
            ))),
            None => Ok(match family {
                Family::Gemma3 => {
                    let pattern = fields.size_or("_sliding_window_pattern", 6)?;
                    let pattern = fields.size_or("sliding_window_pattern", pattern)?.max(1);
                    !(index + 1).is_multiple_of(pattern)
                }
                Family::SmolLm3 => !ropes[index],
                Family::Qwen2 | Family::Qwen3 => {
                    index >= fields.size_or("max_window_layers", 28)?
                }
                Family::Llama | Family::Mistral => false,
            }),
        }
    };
    (0..num_layers)
        .map(|index| {
            let windowed = windowed(index)?;
            let rope = match family {
                Family::Gemma3 if windowed => LayerRope::Local,
                _ if !ropes[index] => LayerRope::None,
                _ => LayerRope::Global,
            };
            Ok(LayerKind { windowed, rope })
        })
        .collect()
}

/// Which layers of a SmolLM3 are rotated: all but every fourth, unless listed.
fn ropes(fields: &Fields<'_>, num_layers: usize) -> Result<Vec<bool>, LmError> {
    let interval = fields.size_or("no_rope_layer_interval", 4)?.max(1);
    let Some(listed) = fields.optional_sizes("no_rope_layers")? else {
        return Ok((1..=num_layers).map(|at| !at.is_multiple_of(interval)).collect());
    };
    if listed.len() != num_layers {
        let reason = format!("no_rope_layers has {} entries, expected {num_layers}", listed.len());
        return Err(LmError::file(fields.path, reason));
    }
    Ok(listed.into_iter().map(|entry| entry != 0).collect())
}
