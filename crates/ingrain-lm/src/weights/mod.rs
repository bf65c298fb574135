//! Where weights come from: HF directories and GGUF files, behind one small trait.

mod gguf;
mod hf;

use std::fs::File;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::Dtype;

use crate::layers::{DecoderLayer, Linear};
use crate::{CausalLm, DecoderConfig, LmError, Projection};

pub(crate) use gguf::GgufWeights;
pub(crate) use hf::{HfWeights, shard_names};

/// Tensors by their HF name, as f32.
pub(crate) trait WeightSource {
    /// The file or folder, for errors.
    fn path(&self) -> &Path;
    /// Whether a tensor of this name is there.
    fn contains(&self, name: &str) -> bool;
    /// Values in row-major order, after checking the shape.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError>;
}

/// Builds the model; every missing or misshapen tensor is an error that names it.
pub(crate) fn build(
    config: DecoderConfig,
    source: &dyn WeightSource,
    device: &Device,
) -> Result<CausalLm, LmError> {
    let vector = |name: String, len: usize| -> Result<Tensor<1>, LmError> {
        let values = read_finite(source, &name, &[len])?;
        Ok(Tensor::from_data(TensorData::new(values, [len]), device))
    };
    let matrix = |name: &str, rows: usize, columns: usize| -> Result<Tensor<2>, LmError> {
        let values = read_finite(source, name, &[rows, columns])?;
        Ok(Tensor::from_data(TensorData::new(values, [rows, columns]), device))
    };
    let hidden = config.hidden_size;
    let embed = matrix("model.embed_tokens.weight", config.vocab_size, hidden)?;
    let mut layers = Vec::with_capacity(config.num_layers);
    for index in 0..config.num_layers {
        let prefix = format!("model.layers.{index}");
        let linear = |which: Projection| -> Result<Linear, LmError> {
            let [outputs, inputs] = projection_shape(&config, which);
            let name = format!("{prefix}.{}", which.path());
            let has_bias = match which {
                Projection::Q | Projection::K | Projection::V | Projection::O => {
                    config.attention_bias
                }
                _ => config.mlp_bias,
            };
            Ok(Linear {
                weight: matrix(&format!("{name}.weight"), outputs, inputs)?,
                bias: has_bias.then(|| vector(format!("{name}.bias"), outputs)).transpose()?,
                half: None,
            })
        };
        let [q, k, v, o, gate, up, down] = Projection::ALL.map(linear);
        layers.push(DecoderLayer {
            input_norm: vector(format!("{prefix}.input_layernorm.weight"), hidden)?,
            post_attention_norm: vector(
                format!("{prefix}.post_attention_layernorm.weight"),
                hidden,
            )?,
            projections: [q?, k?, v?, o?, gate?, up?, down?],
        });
    }
    let norm = vector("model.norm.weight".into(), hidden)?;
    let head = if config.tie_embeddings {
        embed.clone()
    } else {
        matrix("lm_head.weight", config.vocab_size, hidden)?
    };
    let (config, device) = (config.into(), device.clone());
    Ok(CausalLm { config, device, embed, layers, norm, head, head_half: None, recompute: false })
}

fn read_finite(
    source: &dyn WeightSource,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, LmError> {
    let values = source.read(name, shape)?;
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(at) => Err(LmError::file(
            source.path(),
            format!("{name}: value {at} is {}; the file is damaged", values[at]),
        )),
    }
}

/// `[out, in]` of a projection.
pub(crate) fn projection_shape(config: &DecoderConfig, which: Projection) -> [usize; 2] {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_heads * config.head_dim;
    let keys = config.num_kv_heads * config.head_dim;
    match which {
        Projection::Q => [queries, hidden],
        Projection::K | Projection::V => [keys, hidden],
        Projection::O => [hidden, queries],
        Projection::Gate | Projection::Up => [inner, hidden],
        Projection::Down => [hidden, inner],
    }
}

/// Maps a file into memory, read-only.
#[expect(unsafe_code, reason = "a mapping is how weights larger than memory headroom are read")]
pub(crate) fn map_file(path: &Path) -> Result<Mmap, LmError> {
    let file = File::open(path).map_err(LmError::io(path))?;
    // SAFETY: the mapping is read-only and private to this process. Another process that truncates
    // the file while we read it would kill this one, as with every mapped-weights loader; run
    // directories and caches are written by rename, never in place.
    unsafe { Mmap::map(&file) }.map_err(LmError::io(path))
}

/// Little-endian float bytes to f32; `None` for a type that is no float.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match dtype {
        Dtype::F32 => Some(
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        ),
        Dtype::F16 => Some(pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect()),
        Dtype::BF16 => Some(pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect()),
        _ => None,
    }
}
