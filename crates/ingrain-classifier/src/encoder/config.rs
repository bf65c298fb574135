//! `config.json` of an encoder.

use std::path::Path;

use burn::tensor::{Tensor, activation};
use serde::Deserialize;
use serde_json::Value;

use super::bert::Bert;
use super::modern_bert::ModernBert;
use super::weights::TensorShape;
use crate::ClassifierError;

/// More blocks than any encoder has.
const MAX_LAYERS: usize = 1_000;

/// Shapes and constants of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_layers: usize,
    /// Attention heads of a block.
    pub num_heads: usize,
    /// Longest sequence, in tokens, that the encoder was made for.
    pub max_positions: usize,
    /// Added to variances in norms.
    pub norm_eps: f64,
    /// What the feed-forward layers bend with.
    pub activation: EncoderActivation,
    /// What differs between families.
    pub family: EncoderFamily,
}

/// The families that can be read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EncoderFamily {
    /// BERT and what has its blocks (MiniLM).
    Bert(Bert),
    /// ModernBERT.
    ModernBert(ModernBert),
}

/// What stands between the two maps of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EncoderActivation {
    /// `x Phi(x)`, the Gaussian error linear unit.
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    #[serde(alias = "gelu_fast", alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    #[serde(alias = "swish")]
    Silu,
}

impl EncoderActivation {
    pub(crate) fn apply(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gelu => activation::gelu(x),
            Self::GeluNew => activation::gelu_approximate(x),
            Self::Relu => activation::relu(x),
            Self::Silu => activation::silu(x),
        }
    }
}

/// The fields of `config.json` that every family has.
#[derive(Deserialize)]
pub(super) struct Sizes {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
}

/// What each family calls or has otherwise.
pub(super) struct Own {
    pub(super) norm_eps: f64,
    pub(super) activation: EncoderActivation,
    pub(super) family: EncoderFamily,
}

impl EncoderConfig {
    /// Reads the `config.json` of transformers 4 and 5.
    ///
    /// # Errors
    /// [`ClassifierError::File`] naming the field that is missing, of another type, or means an encoder
    /// that cannot be run here.
    pub fn from_hf_json(path: &Path) -> Result<Self, ClassifierError> {
        let text = ingrain_lm::read_small_file(path)?;
        let bad = |reason: String| ClassifierError::file(path, reason);
        let value: Value =
            serde_json::from_str(&text).map_err(|e| bad(format!("is not valid JSON: {e}")))?;
        let model_type = value.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let read = match model_type {
            "bert" => Bert::own,
            "modernbert" => ModernBert::own,
            other => {
                let expected = "\"bert\" or \"modernbert\"";
                return Err(bad(format!("model_type is {other:?}; expected {expected}")));
            }
        };
        let sizes: Sizes = section(value.clone()).map_err(bad)?;
        let Own { norm_eps, activation, family } = read(value, &sizes).map_err(bad)?;
        let config = Self {
            vocab_size: sizes.vocab_size,
            hidden_size: sizes.hidden_size,
            intermediate_size: sizes.intermediate_size,
            num_layers: sizes.num_hidden_layers,
            num_heads: sizes.num_attention_heads,
            max_positions: sizes.max_position_embeddings,
            norm_eps,
            activation,
            family,
        };
        config.check().map_err(bad)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let counts = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_layers),
            ("num_attention_heads", self.num_heads),
            ("max_position_embeddings", self.max_positions),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(format!("{name} is 0"));
        }
        if self.num_layers > MAX_LAYERS {
            return Err(format!("num_hidden_layers is {}, above {MAX_LAYERS}", self.num_layers));
        }
        let (hidden, heads) = (self.hidden_size, self.num_heads);
        if !hidden.is_multiple_of(heads) {
            return Err(format!("hidden_size {hidden} cannot be split into {heads} heads"));
        }
        if matches!(self.family, EncoderFamily::ModernBert(_))
            && !(hidden / heads).is_multiple_of(2)
        {
            return Err(format!("heads of {} dimensions have no rotary halves", hidden / heads));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return Err(format!("the epsilon of norms is {}; expected above 0", self.norm_eps));
        }
        Ok(())
    }

    /// Dimensions of a head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// The tensors that the encoder needs.
    pub(crate) fn tensors(&self) -> Vec<TensorShape> {
        match &self.family {
            EncoderFamily::Bert(bert) => bert.tensors(self),
            EncoderFamily::ModernBert(modern) => modern.tensors(self),
        }
    }
}

/// One section of a configuration, with errors that name the field.
pub(super) fn section<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|e| e.to_string())
}
