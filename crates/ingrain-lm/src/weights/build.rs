//! From named tensors to a model.

use std::cell::RefCell;
use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};

use super::{WeightSource, is_vision, norm_path};
use crate::layers::{DecoderLayer, Linear, Norm, OutputNorms, QkNorms};
use crate::{CausalLm, DecoderConfig, LmError, Projection};

/// Builds the model; every missing, misshapen or unknown tensor is an error that names it.
///
/// What reads images in a multimodal checkpoint is left out by rule, and counted.
pub(crate) fn build(
    config: DecoderConfig,
    source: &dyn WeightSource,
    device: &Device,
) -> Result<CausalLm, LmError> {
    let reader = Reader { config: &config, source, device, used: RefCell::default() };
    let embed =
        reader.matrix("model.embed_tokens.weight", [config.vocab_size, config.hidden_size])?;
    let layers =
        (0..config.num_layers).map(|index| reader.layer(index)).collect::<Result<_, _>>()?;
    let norm = reader.norm("model.norm.weight", config.hidden_size)?;
    let head = match config.tie_embeddings {
        true => embed.clone(),
        false => reader.matrix("lm_head.weight", [config.vocab_size, config.hidden_size])?,
    };
    let skipped = reader.left_out()?;
    let (config, device) = (config.into(), device.clone());
    Ok(CausalLm {
        config,
        device,
        embed,
        layers,
        norm,
        head,
        head_half: None,
        recompute: false,
        skipped,
    })
}

/// Reads tensors and remembers which.
struct Reader<'a> {
    config: &'a DecoderConfig,
    source: &'a dyn WeightSource,
    device: &'a Device,
    /// Names in the file.
    used: RefCell<BTreeSet<String>>,
}

impl Reader<'_> {
    fn layer(&self, index: usize) -> Result<DecoderLayer, LmError> {
        let config = self.config;
        let norm = |which: Norm, len: usize| {
            let path = norm_path(config.family, which);
            self.norm(&format!("model.layers.{index}.{path}.weight"), len)
        };
        let linear = |which: Projection| -> Result<Linear, LmError> {
            let [outputs, inputs] = projection_shape(config, which);
            let name = format!("model.layers.{index}.{}", which.path());
            let has_bias = match which {
                Projection::Q | Projection::K | Projection::V => config.qkv_bias,
                Projection::O => config.output_bias,
                _ => config.mlp_bias,
            };
            let bias = || self.vector(&format!("{name}.bias"), outputs);
            Ok(Linear {
                weight: self.matrix(&format!("{name}.weight"), [outputs, inputs])?,
                bias: has_bias.then(bias).transpose()?,
                half: None,
            })
        };
        let qk_norms = || -> Result<QkNorms, LmError> {
            let q = norm(Norm::Query, config.head_dim)?;
            Ok(QkNorms { q, k: norm(Norm::Key, config.head_dim)? })
        };
        let output_norms = || -> Result<OutputNorms, LmError> {
            let attention = norm(Norm::AttentionOutput, config.hidden_size)?;
            let feed_forward = norm(Norm::FeedForwardOutput, config.hidden_size)?;
            Ok(OutputNorms { attention, feed_forward })
        };
        let [q, k, v, o, gate, up, down] = Projection::ALL.map(linear);
        Ok(DecoderLayer {
            kind: config.layers[index],
            input_norm: norm(Norm::Input, config.hidden_size)?,
            post_attention_norm: norm(Norm::FeedForward, config.hidden_size)?,
            qk_norms: config.qk_norm.then(qk_norms).transpose()?,
            output_norms: config.output_norms.then(output_norms).transpose()?,
            projections: [q?, k?, v?, o?, gate?, up?, down?],
        })
    }

    fn norm(&self, name: &str, len: usize) -> Result<Tensor<1>, LmError> {
        let weight = self.vector(name, len)?;
        Ok(match self.source.norms_less_one(self.config.family) {
            true => weight.add_scalar(1.0),
            false => weight,
        })
    }

    fn vector(&self, name: &str, len: usize) -> Result<Tensor<1>, LmError> {
        let values = self.read_finite(name, &[len])?;
        Ok(Tensor::from_data(TensorData::new(values, [len]), self.device))
    }

    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, LmError> {
        let values = self.read_finite(name, &shape)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    fn read_finite(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let values = self.source.read(name, shape)?;
        self.used.borrow_mut().extend(self.source.stored(name));
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(at) => Err(LmError::file(
                self.source.path(),
                format!("{name}: value {at} is {}; the file is damaged", values[at]),
            )),
        }
    }

    /// The tensors that nothing read, all of which a rule must allow.
    fn left_out(&self) -> Result<Vec<String>, LmError> {
        let used = self.used.borrow();
        let left: Vec<String> =
            self.source.names().into_iter().filter(|name| !used.contains(name)).collect();
        let allowed = |name: &str| {
            // A tied head written out again, and tables that old versions saved.
            let spare = name.ends_with("lm_head.weight") && self.config.tie_embeddings;
            let table = name.ends_with(".rotary_emb.inv_freq") || name == "rope_freqs.weight";
            spare || table || (self.config.nested && is_vision(name))
        };
        match left.iter().find(|name| !allowed(name)) {
            None => Ok(left),
            Some(name) => Err(LmError::file(
                self.source.path(),
                format!("holds {name}, which a {:?} model has no place for", self.config.family),
            )),
        }
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
