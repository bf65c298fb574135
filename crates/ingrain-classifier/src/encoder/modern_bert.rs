//! ModernBERT's blocks: rotary positions, norms before each part, gated feed-forward layers, and windows
//! between blocks that see everything.

use burn::tensor::Tensor;
use ingrain_lm::Rotary;
use serde::Deserialize;
use serde_json::Value;

use super::attention::attend;
use super::config::{Own, Sizes, section};
use super::weights::{TensorShape, Weights};
use super::{EncoderActivation, EncoderBatch, EncoderConfig, EncoderFamily};

/// What only ModernBERT has.
#[derive(Clone, Debug, PartialEq)]
pub struct ModernBert {
    /// Whether each block looks no further than the window.
    pub windowed: Vec<bool>,
    /// How far a windowed block looks in each direction, in tokens.
    pub reach: usize,
    /// Base of the rotary frequencies of blocks that see everything.
    pub global_theta: f64,
    /// Base of those of windowed blocks.
    pub local_theta: f64,
    /// Whether the maps of attention have biases.
    pub attention_bias: bool,
    /// Whether those of feed-forward layers have.
    pub mlp_bias: bool,
    /// Whether norms have.
    pub norm_bias: bool,
}

/// The fields of `config.json` that only ModernBERT has, as transformers 4 and 5 write them.
#[derive(Deserialize)]
struct File {
    #[serde(default = "usual_eps")]
    norm_eps: f64,
    hidden_activation: EncoderActivation,
    local_attention: usize,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    norm_bias: bool,
    layer_types: Option<Vec<LayerType>>,
    rope_parameters: Option<RopeParameters>,
    global_attn_every_n_layers: Option<usize>,
    global_rope_theta: Option<f64>,
    local_rope_theta: Option<f64>,
}

fn usual_eps() -> f64 {
    1e-5
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum LayerType {
    FullAttention,
    SlidingAttention,
}

#[derive(Deserialize)]
struct RopeParameters {
    full_attention: Option<Rope>,
    sliding_attention: Option<Rope>,
}

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

impl ModernBert {
    pub(super) fn own(value: Value, sizes: &Sizes) -> Result<Own, String> {
        let file: File = section(value)?;
        let every = file.global_attn_every_n_layers.unwrap_or(3).max(1);
        let layers = sizes.num_hidden_layers;
        let windowed: Vec<bool> = match &file.layer_types {
            Some(types) => types.iter().map(|t| *t == LayerType::SlidingAttention).collect(),
            // As many as are needed; a number that is too large is refused later.
            None => (0..layers.min(100_000)).map(|layer| layer % every != 0).collect(),
        };
        if windowed.len() != layers.min(100_000) {
            let types = windowed.len();
            return Err(format!("layer_types names {types} blocks, num_hidden_layers is {layers}"));
        }
        let rope = file
            .rope_parameters
            .unwrap_or(RopeParameters { full_attention: None, sliding_attention: None });
        let theta = |rope: Option<Rope>, older: Option<f64>, usual: f64| {
            if let Some(kind) = rope.as_ref().and_then(|rope| rope.rope_type.as_deref())
                && kind != "default"
            {
                return Err(format!("rope_type is {kind:?}; expected \"default\""));
            }
            let theta = rope.and_then(|rope| rope.rope_theta).or(older).unwrap_or(usual);
            let is_valid = theta > 0.0 && theta.is_finite();
            if is_valid { Ok(theta) } else { Err(format!("rope_theta is {theta}")) }
        };
        let modern = Self {
            windowed,
            reach: file.local_attention / 2,
            global_theta: theta(rope.full_attention, file.global_rope_theta, 160_000.0)?,
            local_theta: theta(rope.sliding_attention, file.local_rope_theta, 10_000.0)?,
            attention_bias: file.attention_bias,
            mlp_bias: file.mlp_bias,
            norm_bias: file.norm_bias,
        };
        Ok(Own {
            norm_eps: file.norm_eps,
            activation: file.hidden_activation,
            family: EncoderFamily::ModernBert(modern),
        })
    }

    pub(super) fn tensors(&self, config: &EncoderConfig) -> Vec<TensorShape> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let norm = |module: &str| {
            let bias =
                self.norm_bias.then(|| TensorShape::vector(format!("{module}.bias"), hidden));
            let weight = TensorShape::vector(format!("{module}.weight"), hidden);
            [Some(weight), bias].into_iter().flatten()
        };
        let map = |module: &str, outputs: usize, inputs: usize, has_bias: bool| {
            let bias = has_bias.then(|| TensorShape::vector(format!("{module}.bias"), outputs));
            let weight = TensorShape::matrix(format!("{module}.weight"), outputs, inputs);
            [Some(weight), bias].into_iter().flatten()
        };
        let mut tensors = vec![TensorShape::matrix(
            "embeddings.tok_embeddings.weight",
            config.vocab_size,
            hidden,
        )];
        tensors.extend(norm("embeddings.norm"));
        for layer in 0..config.num_layers {
            let root = format!("layers.{layer}");
            if layer > 0 {
                tensors.extend(norm(&format!("{root}.attn_norm")));
            }
            let bias = self.attention_bias;
            tensors.extend(map(&format!("{root}.attn.Wqkv"), 3 * hidden, hidden, bias));
            tensors.extend(map(&format!("{root}.attn.Wo"), hidden, hidden, bias));
            tensors.extend(norm(&format!("{root}.mlp_norm")));
            tensors.extend(map(&format!("{root}.mlp.Wi"), 2 * inner, hidden, self.mlp_bias));
            tensors.extend(map(&format!("{root}.mlp.Wo"), hidden, inner, self.mlp_bias));
        }
        tensors.extend(norm("final_norm"));
        tensors
    }

    /// Hidden states `[rows * seq, hidden]`.
    pub(super) fn forward(
        &self,
        config: &EncoderConfig,
        w: &Weights,
        batch: &EncoderBatch,
    ) -> Tensor<2> {
        let (rows, seq, hidden) = (batch.rows, batch.seq, config.hidden_size);
        let (dim, inner) = (config.head_dim(), config.intermediate_size);
        let rotary = |theta: f64| {
            let frequency = |i: usize| theta.powf(-2.0 * i as f64 / dim as f64);
            let frequencies: Vec<f64> = (0..dim / 2).map(frequency).collect();
            Rotary::new(&frequencies, 1.0, 1, (0..seq).collect(), batch.device())
        };
        // Everything, and the window: positions and what is hidden.
        let global = (rotary(self.global_theta), batch.hidden_keys(None));
        let local = (rotary(self.local_theta), batch.hidden_keys(Some(self.reach)));
        let words = w.get("embeddings.tok_embeddings.weight").select(0, batch.tokens.clone());
        let eps = config.norm_eps;
        let mut x = w.layer_norm(words, "embeddings.norm", eps);
        for (layer, windowed) in self.windowed.iter().enumerate() {
            let root = format!("layers.{layer}");
            let map = |x: Tensor<2>, module: &str| w.linear(x, &format!("{root}.{module}"));
            let norm = |x, module: &str| w.layer_norm(x, &format!("{root}.{module}"), eps);
            let (rotary, hide) = if *windowed { &local } else { &global };
            let h = if layer == 0 { x.clone() } else { norm(x.clone(), "attn_norm") };
            let qkv = map(h, "attn.Wqkv");
            let part = |n: usize| {
                let part = qkv.clone().slice([0..rows * seq, n * hidden..(n + 1) * hidden]);
                part.reshape([rows, seq, config.num_heads, dim])
            };
            let qkv = [rotary.apply(part(0)), rotary.apply(part(1)), part(2)];
            x = x + map(attend(qkv, hide.as_ref()), "attn.Wo");
            let both = map(norm(x.clone(), "mlp_norm"), "mlp.Wi");
            let half = |n: usize| both.clone().slice([0..rows * seq, n * inner..(n + 1) * inner]);
            x = x + map(config.activation.apply(half(0)) * half(1), "mlp.Wo");
        }
        w.layer_norm(x, "final_norm", eps)
    }
}
