//! GGUF files: llama.cpp's names and its order of q and k rows, undone.

use std::path::{Path, PathBuf};

use ingrain_gguf::GgufFile;

use super::WeightSource;
use crate::config::Family;
use crate::{DecoderConfig, LmError};

/// The tensors of a GGUF file under their HF names.
pub(crate) struct GgufWeights<'a> {
    path: PathBuf,
    file: &'a GgufFile,
    family: Family,
    heads: usize,
    kv_heads: usize,
}

impl<'a> GgufWeights<'a> {
    pub(crate) fn new(path: &Path, file: &'a GgufFile, config: &DecoderConfig) -> Self {
        let (heads, kv_heads) = (config.num_heads, config.num_kv_heads);
        Self { path: path.to_owned(), file, family: config.family, heads, kv_heads }
    }
}

/// `model.layers.3.self_attn.q_proj.weight` is `blk.3.attn_q.weight`.
fn gguf_name(family: Family, name: &str) -> Option<String> {
    let fixed = match name {
        "model.embed_tokens.weight" => Some("token_embd.weight"),
        "model.norm.weight" => Some("output_norm.weight"),
        "lm_head.weight" => Some("output.weight"),
        _ => None,
    };
    if let Some(fixed) = fixed {
        return Some(fixed.to_owned());
    }
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (module, kind) = rest.rsplit_once('.')?;
    let module = match module {
        "input_layernorm" => "attn_norm",
        // In Gemma this norm stands behind attention, in all others before the feed-forward layer.
        "post_attention_layernorm" if family == Family::Gemma3 => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{module}.{kind}"))
}

impl WeightSource for GgufWeights<'_> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn stored(&self, name: &str) -> Option<String> {
        gguf_name(self.family, name).filter(|name| self.file.tensor(name).is_some())
    }

    fn names(&self) -> Vec<String> {
        self.file.tensors().map(|tensor| tensor.name().to_owned()).collect()
    }

    // The converter adds the one.
    fn norms_less_one(&self, _family: Family) -> bool {
        false
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let stored = gguf_name(self.family, name)
            .ok_or_else(|| LmError::file(&self.path, format!("{name} has no GGUF counterpart")))?;
        let info = self.file.tensor(&stored).ok_or_else(|| {
            LmError::file(&self.path, format!("tensor {stored} ({name}) is missing"))
        })?;
        if info.shape() != shape {
            return Err(LmError::file(
                &self.path,
                format!("{stored} has shape {:?}; the metadata make it {shape:?}", info.shape()),
            ));
        }
        let values = self.file.dequantize(&stored)?;
        let width = values.len() / shape[0];
        Ok(match name {
            _ if !self.family.is_permuted_in_gguf() => values,
            _ if name.contains("q_proj") => unpermute(&values, self.heads, width),
            _ if name.contains("k_proj") => unpermute(&values, self.kv_heads, width),
            _ => values,
        })
    }
}

/// Undoes llama.cpp's interleaving of the two rotary halves within each head.
///
/// In the file, row `2 i + j` of a head is row `j * head_dim / 2 + i` of the original.
fn unpermute(values: &[f32], heads: usize, width: usize) -> Vec<f32> {
    let head_dim = values.len() / width / heads;
    let half = head_dim / 2;
    let mut out = vec![0.0; values.len()];
    for head in 0..heads {
        for i in 0..half {
            for j in 0..2 {
                let from = (head * head_dim + 2 * i + j) * width;
                let to = (head * head_dim + j * half + i) * width;
                out[to..to + width].copy_from_slice(&values[from..from + width]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unpermute;

    #[test]
    fn rows_of_a_head_go_back_to_half_split_order() {
        // One head of 4 rows, one column; the converter wrote rows 0, 2, 1, 3.
        assert_eq!(unpermute(&[0.0, 2.0, 1.0, 3.0], 1, 1), [0.0, 1.0, 2.0, 3.0]);
    }
}
