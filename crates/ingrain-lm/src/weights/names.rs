//! The names of tensors in HF checkpoints.

use crate::config::Family;
use crate::layers::Norm;

/// The name in a text-only checkpoint for one in a multimodal one; any other name as it is.
///
/// Checkpoints nest the language model in two ways, depending on the version that wrote them.
pub(crate) fn text_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("model.language_model.") {
        return format!("model.{rest}");
    }
    name.strip_prefix("language_model.").unwrap_or(name).to_owned()
}

/// Whether a name belongs to the part of a multimodal checkpoint that reads images.
pub(crate) fn is_vision(name: &str) -> bool {
    let name = name.strip_prefix("model.").unwrap_or(name);
    name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.")
}

/// The path of a norm below `model.layers.N.`.
pub(crate) fn norm_path(family: Family, norm: Norm) -> &'static str {
    match norm {
        Norm::Input => "input_layernorm",
        Norm::FeedForward if family == Family::Gemma3 => "pre_feedforward_layernorm",
        Norm::FeedForward | Norm::AttentionOutput => "post_attention_layernorm",
        Norm::FeedForwardOutput => "post_feedforward_layernorm",
        Norm::Query => "self_attn.q_norm",
        Norm::Key => "self_attn.k_norm",
    }
}
