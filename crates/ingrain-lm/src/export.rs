//! A model as a directory in HF layout, so that every other loader can run the very same weights.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Tensor;
use ingrain_run::{write_atomic, write_json_atomic};
use safetensors::{Dtype, View};
use serde_json::json;

use crate::{CausalLm, LmError, LocalModel, Projection};

const WEIGHTS_FILE: &str = "model.safetensors";

impl LocalModel {
    /// Writes weights (f32), configuration, tokenizer and chat template to `dir`.
    ///
    /// An adapter in use is folded into the weights; without one, these are the very base weights
    /// (dequantised, if they came from a quantised file).
    ///
    /// # Errors
    /// [`LmError`] if the directory already holds a model, or a file cannot be written.
    pub fn export(&self, dir: &Path) -> Result<(), LmError> {
        let weights = dir.join(WEIGHTS_FILE);
        if weights.exists() {
            return Err(LmError::file(&weights, "is already there; choose an empty directory"));
        }
        let mut config = self.model.config().to_hf()?;
        std::fs::create_dir_all(dir).map_err(LmError::io(dir))?;
        let model = match &self.adapter {
            Some(adapter) => self.model.clone().fold(&adapter.untracked()),
            None => self.model.clone(),
        };
        self.tokenizer.save(dir)?;
        let bos = self.tokenizer.bos_id();
        let eos = self.tokenizer.stop_ids();
        config["bos_token_id"] = json!(bos);
        config["eos_token_id"] = json!(eos);
        let generation = dir.join("generation_config.json");
        write_json_atomic(&generation, &json!({"bos_token_id": bos, "eos_token_id": eos}))?;
        model.write_weights(&weights)?;
        // The writer of weights makes them private to this user; a server may be another one.
        let permissions = std::fs::metadata(&generation).map_err(LmError::io(&generation))?;
        std::fs::set_permissions(&weights, permissions.permissions())
            .map_err(LmError::io(&weights))?;
        // Last: a directory with a configuration is a complete one.
        Ok(write_atomic(dir.join("config.json"), format!("{config:#}\n").as_bytes())?)
    }
}

impl CausalLm {
    /// Every weight with its HF name; a tied head is left out.
    fn named_weights(&self) -> Vec<(String, Weight)> {
        let mut weights = vec![("model.embed_tokens.weight".to_owned(), Weight::of(&self.embed))];
        for (index, layer) in self.layers.iter().enumerate() {
            let name = |rest: &str| format!("model.layers.{index}.{rest}.weight");
            weights.push((name("input_layernorm"), Weight::of(&layer.input_norm)));
            weights
                .push((name("post_attention_layernorm"), Weight::of(&layer.post_attention_norm)));
            for which in Projection::ALL {
                let linear = &layer.projections[which as usize];
                weights.push((name(which.path()), Weight::of(&linear.weight)));
                if let Some(bias) = &linear.bias {
                    let name = format!("model.layers.{index}.{}.bias", which.path());
                    weights.push((name, Weight::of(bias)));
                }
            }
        }
        weights.push(("model.norm.weight".to_owned(), Weight::of(&self.norm)));
        if !self.config.tie_embeddings {
            weights.push(("lm_head.weight".to_owned(), Weight::of(&self.head)));
        }
        weights
    }

    /// The file appears complete or not at all: the writer renames a temporary one.
    fn write_weights(&self, path: &Path) -> Result<(), LmError> {
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(self.named_weights(), Some(metadata), path)
            .map_err(|e| LmError::file(path, format!("cannot be written: {e}")))
    }
}

/// A tensor whose bytes are made when the writer comes to it, one tensor at a time.
enum Weight {
    Vector(Tensor<1>, [usize; 1]),
    Matrix(Tensor<2>, [usize; 2]),
}

trait IntoWeight {
    fn into_weight(self) -> Weight;
}

impl IntoWeight for Tensor<1> {
    fn into_weight(self) -> Weight {
        let shape = self.dims();
        Weight::Vector(self, shape)
    }
}

impl IntoWeight for Tensor<2> {
    fn into_weight(self) -> Weight {
        let shape = self.dims();
        Weight::Matrix(self, shape)
    }
}

impl Weight {
    fn of<T: IntoWeight + Clone>(tensor: &T) -> Self {
        tensor.clone().into_weight()
    }
}

impl View for Weight {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Vector(_, shape) => shape,
            Self::Matrix(_, shape) => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let data = match self {
            Self::Vector(tensor, _) => tensor.to_data(),
            Self::Matrix(tensor, _) => tensor.to_data(),
        };
        Cow::Owned(data.iter::<f32>().flat_map(f32::to_le_bytes).collect())
    }

    fn data_len(&self) -> usize {
        self.shape().iter().product::<usize>() * 4
    }
}
