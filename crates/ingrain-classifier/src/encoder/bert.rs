//! BERT's blocks: learnt positions, norms behind each part.

use burn::tensor::Tensor;
use serde::Deserialize;
use serde_json::Value;

use super::attention::attend;
use super::config::{Own, Sizes, section};
use super::weights::{TensorShape, Weights};
use super::{EncoderActivation, EncoderBatch, EncoderConfig, EncoderFamily};

/// What only BERT has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bert {
    /// Rows of the table that tells first texts from second ones; ours are all first ones.
    pub token_types: usize,
}

/// The fields of `config.json` that only BERT has.
#[derive(Deserialize)]
struct File {
    type_vocab_size: usize,
    #[serde(default = "usual_eps")]
    layer_norm_eps: f64,
    hidden_act: EncoderActivation,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn usual_eps() -> f64 {
    1e-12
}

impl Bert {
    pub(super) fn own(value: Value, _: &Sizes) -> Result<Own, String> {
        let file: File = section(value)?;
        let positions = file.position_embedding_type.as_deref().unwrap_or("absolute");
        if positions != "absolute" {
            return Err(format!("position_embedding_type is {positions:?}; expected \"absolute\""));
        }
        if file.is_decoder {
            return Err("is_decoder is true; expected an encoder".to_owned());
        }
        if file.type_vocab_size == 0 {
            return Err("type_vocab_size is 0".to_owned());
        }
        Ok(Own {
            norm_eps: file.layer_norm_eps,
            activation: file.hidden_act,
            family: EncoderFamily::Bert(Self { token_types: file.type_vocab_size }),
        })
    }

    pub(super) fn tensors(&self, config: &EncoderConfig) -> Vec<TensorShape> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut tensors = vec![
            TensorShape::matrix("embeddings.word_embeddings.weight", config.vocab_size, hidden),
            TensorShape::matrix(
                "embeddings.position_embeddings.weight",
                config.max_positions,
                hidden,
            ),
            TensorShape::matrix(
                "embeddings.token_type_embeddings.weight",
                self.token_types,
                hidden,
            ),
        ];
        let vectors = |module: &str, names: [&str; 2], len: usize| {
            names.map(|name| TensorShape::vector(format!("{module}.{name}"), len))
        };
        tensors.extend(vectors("embeddings.LayerNorm", ["weight", "bias"], hidden));
        for layer in 0..config.num_layers {
            let root = format!("encoder.layer.{layer}");
            let maps = [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", inner, hidden),
                ("output.dense", hidden, inner),
            ];
            for (module, outputs, inputs) in maps {
                let name = format!("{root}.{module}");
                tensors.push(TensorShape::matrix(format!("{name}.weight"), outputs, inputs));
                tensors.push(TensorShape::vector(format!("{name}.bias"), outputs));
            }
            for module in ["attention.output.LayerNorm", "output.LayerNorm"] {
                tensors.extend(vectors(&format!("{root}.{module}"), ["weight", "bias"], hidden));
            }
        }
        tensors
    }

    /// Hidden states `[rows * seq, hidden]`.
    pub(super) fn forward(config: &EncoderConfig, w: &Weights, batch: &EncoderBatch) -> Tensor<2> {
        let (rows, seq, hidden) = (batch.rows, batch.seq, config.hidden_size);
        let eps = config.norm_eps;
        let words = w.get("embeddings.word_embeddings.weight").select(0, batch.tokens.clone());
        let positions = w.get("embeddings.position_embeddings.weight").slice([0..seq, 0..hidden]);
        let first = w.get("embeddings.token_type_embeddings.weight").slice([0..1, 0..hidden]);
        let places = (positions + first).unsqueeze_dim::<3>(0);
        let x = (words.reshape([rows, seq, hidden]) + places).reshape([rows * seq, hidden]);
        let mut x = w.layer_norm(x, "embeddings.LayerNorm", eps);
        let hide = batch.hidden_keys(None);
        let heads = |x: Tensor<2>| x.reshape([rows, seq, config.num_heads, config.head_dim()]);
        for layer in 0..config.num_layers {
            let root = format!("encoder.layer.{layer}");
            let map = |x: Tensor<2>, module: &str| w.linear(x, &format!("{root}.{module}"));
            let norm = |x, module: &str| w.layer_norm(x, &format!("{root}.{module}"), eps);
            let qkv = ["query", "key", "value"]
                .map(|part| heads(map(x.clone(), &format!("attention.self.{part}"))));
            let attended = map(attend(qkv, hide.as_ref()), "attention.output.dense");
            x = norm(x + attended, "attention.output.LayerNorm");
            let inner = config.activation.apply(map(x.clone(), "intermediate.dense"));
            x = norm(x + map(inner, "output.dense"), "output.LayerNorm");
        }
        x
    }
}
