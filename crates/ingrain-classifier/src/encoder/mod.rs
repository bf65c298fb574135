//! Text encoders: token sequences to hidden states that see both directions.
//!
//! An encoder is a configuration and tensors by name. The forward pass is handed the tensors, so that the
//! same code runs on frozen weights, on weights that train, and on a mix. This module knows neither texts
//! nor classes.

mod attention;
mod batch;
mod bert;
mod config;
mod modern_bert;
mod weights;

use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::ClassifierError;

pub use batch::EncoderBatch;
pub use bert::Bert;
pub use config::{EncoderActivation, EncoderConfig, EncoderFamily};
pub use modern_bert::ModernBert;
pub(crate) use weights::{TensorShape, Weights};

/// How the hidden states of a sequence become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean, padding left out: what MiniLM was trained for.
    #[default]
    Mean,
    /// That of the first token.
    First,
}

/// A text encoder with frozen weights. Cheap to clone.
///
/// # Examples
/// ```no_run
/// use ingrain_classifier::{Encoder, EncoderBatch, Pooling};
///
/// // needs weights, so it is only compiled here
/// let device = ingrain_lm::device("cpu")?;
/// let encoder = Encoder::load("all-minilm-l6-v2".as_ref(), &device)?;
/// let batch = EncoderBatch::new(&[vec![101, 7592, 102]], &device);
/// let vectors = encoder.pooled(&batch, Pooling::Mean); // [1, 384]
/// # Ok::<(), ingrain_classifier::ClassifierError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Encoder {
    config: EncoderConfig,
    weights: Weights,
    device: Device,
}

impl Encoder {
    /// Reads `config.json` and safetensors of an HF directory, of the bare encoder or of a model for a
    /// task.
    ///
    /// # Errors
    /// [`ClassifierError`] naming file and field or tensor: a family that is not known, a tensor that is
    /// missing, of another shape or left over, a value that is not finite.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, ClassifierError> {
        Self::load_as(dir, EncoderConfig::from_hf_json(&dir.join("config.json"))?, device)
    }

    /// As [`load`](Self::load), under a configuration that was read elsewhere.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_as(
        dir: &Path,
        config: EncoderConfig,
        device: &Device,
    ) -> Result<Self, ClassifierError> {
        let weights = Weights::load(dir, &config.tensors(), device)?;
        Ok(Self { config, weights, device: device.clone() })
    }

    /// Shapes and constants.
    #[must_use]
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The device that holds the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Hidden states behind the last block.
    ///
    /// # Shapes
    /// - output: `[rows, seq, hidden]`; those of padding mean nothing
    ///
    /// # Panics
    /// If a sequence is longer than the encoder was made for, or holds a token that it does not have.
    #[must_use]
    pub fn hidden(&self, batch: &EncoderBatch) -> Tensor<3> {
        self.hidden_with(&self.weights, batch)
    }

    /// One vector a sequence, `[rows, hidden]`.
    ///
    /// # Panics
    /// As [`hidden`](Self::hidden).
    #[must_use]
    pub fn pooled(&self, batch: &EncoderBatch, pooling: Pooling) -> Tensor<2> {
        self.pooled_with(&self.weights, batch, pooling)
    }

    pub(crate) fn pooled_with(
        &self,
        weights: &Weights,
        batch: &EncoderBatch,
        pooling: Pooling,
    ) -> Tensor<2> {
        let hidden = self.hidden_with(weights, batch);
        match pooling {
            Pooling::Mean => batch.mean(hidden),
            Pooling::First => {
                let [rows, _, width] = hidden.dims();
                hidden.slice([0..rows, 0..1, 0..width]).squeeze_dim(1)
            }
        }
    }

    fn hidden_with(&self, weights: &Weights, batch: &EncoderBatch) -> Tensor<3> {
        let config = &self.config;
        assert!(
            batch.seq <= config.max_positions,
            "a sequence of {} tokens for an encoder of {}",
            batch.seq,
            config.max_positions
        );
        let states = match &config.family {
            EncoderFamily::Bert(_) => Bert::forward(config, weights, batch),
            EncoderFamily::ModernBert(modern) => modern.forward(config, weights, batch),
        };
        states.reshape([batch.rows, batch.seq, config.hidden_size])
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The encoder with some of its weights replaced.
    #[must_use]
    pub(crate) fn with_weights(&self, weights: &Weights) -> Self {
        Self { weights: self.weights.with(weights), ..self.clone() }
    }

    /// Writes the weights, `model.safetensors`.
    pub(crate) fn save_weights(&self, path: &Path) -> Result<(), ClassifierError> {
        self.weights.save(path, &self.config.tensors())
    }
}
