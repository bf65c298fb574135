//! A model as a directory in HF layout, so that every other loader can run the very same weights.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use ingrain_run::{write_atomic, write_json_atomic};
use safetensors::{Dtype, View};
use serde_json::{Map, json};

use crate::weights::norm_path;
use crate::{CausalLm, FullWeights, LmError, LocalModel, Projection};

const WEIGHTS_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";

/// How a model is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Bytes of weights a file may hold; more are spread over several, with an index. A tensor larger
    /// than this gets a file of its own. Default: 5 GB, as transformers has it.
    pub max_shard_bytes: u64,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { max_shard_bytes: 5_000_000_000 }
    }
}

impl LocalModel {
    /// Writes weights (f32), configuration, tokenizer and chat template to `dir`.
    ///
    /// An adapter in use is folded into the weights; without one, these are the very base weights
    /// (dequantised, if they came from a quantised file).
    ///
    /// # Errors
    /// [`LmError`] if the directory already holds a model, or a file cannot be written.
    pub fn export(&self, dir: &Path) -> Result<(), LmError> {
        self.export_with(dir, &ExportOptions::default())
    }

    /// As [`LocalModel::export`], with other than the usual options.
    ///
    /// # Errors
    /// As [`LocalModel::export`].
    pub fn export_with(&self, dir: &Path, options: &ExportOptions) -> Result<(), LmError> {
        for weights in [WEIGHTS_FILE, INDEX_FILE].map(|name| dir.join(name)) {
            if weights.exists() {
                return Err(LmError::file(&weights, "is already there; choose an empty directory"));
            }
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
        let permissions = std::fs::metadata(&generation).map_err(LmError::io(&generation))?;
        for file in model.write_weights(dir, options.max_shard_bytes)? {
            // The writer makes them private to this user; a server may be another one.
            std::fs::set_permissions(&file, permissions.permissions())
                .map_err(LmError::io(&file))?;
        }
        // Last: a directory with a configuration is a complete one.
        Ok(write_atomic(dir.join("config.json"), format!("{config:#}\n").as_bytes())?)
    }
}

impl FullWeights {
    /// Writes `model` with these weights in place of its own, the adapter beside them folded in, as
    /// [`LocalModel::export`] writes a model.
    ///
    /// # Errors
    /// As [`LocalModel::export`].
    pub fn export(&self, model: &LocalModel, dir: &Path) -> Result<(), LmError> {
        let trained = model.with_weights(self.put_into(&model.model));
        trained.with_adapter(self.adapter.clone()).export(dir)
    }
}

impl CausalLm {
    /// Every weight with its HF name; a tied head is left out.
    pub(crate) fn named_weights(&self) -> Vec<(String, Weight)> {
        let family = self.config.family;
        // Norms go back to how the family keeps them.
        let less = if family.norms_less_one() { 1.0 } else { 0.0 };
        let norm_weight = |weight: &Tensor<1>| Weight::of(&weight.clone().sub_scalar(less));
        let mut weights = vec![("model.embed_tokens.weight".to_owned(), Weight::of(&self.embed))];
        for (index, layer) in self.layers.iter().enumerate() {
            let name = |rest: &str| format!("model.layers.{index}.{rest}");
            for (which, weight) in layer.norms() {
                let name = name(&format!("{}.weight", norm_path(family, which)));
                weights.push((name, norm_weight(weight)));
            }
            for which in Projection::ALL {
                let linear = &layer.projections[which as usize];
                weights
                    .push((name(&format!("{}.weight", which.path())), Weight::of(&linear.weight)));
                if let Some(bias) = &linear.bias {
                    weights.push((name(&format!("{}.bias", which.path())), Weight::of(bias)));
                }
            }
        }
        weights.push(("model.norm.weight".to_owned(), norm_weight(&self.norm)));
        if !self.config.tie_embeddings {
            weights.push(("lm_head.weight".to_owned(), Weight::of(&self.head)));
        }
        weights
    }

    /// Writes one file, or shards and their index; the files of weights.
    fn write_weights(&self, dir: &Path, max_bytes: u64) -> Result<Vec<PathBuf>, LmError> {
        let shards = shards(self.named_weights(), max_bytes);
        let count = shards.len();
        let mut index = Map::new();
        let (mut files, mut total) = (Vec::with_capacity(count), 0);
        for (at, shard) in shards.into_iter().enumerate() {
            let name = match count {
                1 => WEIGHTS_FILE.to_owned(),
                _ => format!("model-{:05}-of-{count:05}.safetensors", at + 1),
            };
            for (tensor, weight) in &shard {
                index.insert(tensor.clone(), json!(name));
                total += weight.data_len();
            }
            let path = dir.join(name);
            let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
            // The file appears complete or not at all: the writer renames a temporary one.
            safetensors::serialize_to_file(shard, Some(metadata), &path)
                .map_err(|e| LmError::file(&path, format!("cannot be written: {e}")))?;
            files.push(path);
        }
        if count > 1 {
            let index = json!({"metadata": {"total_size": total}, "weight_map": index});
            write_json_atomic(dir.join(INDEX_FILE), &index)?;
        }
        Ok(files)
    }
}

/// Groups of weights, in order, none above `max_bytes` but for a single larger one.
fn shards(weights: Vec<(String, Weight)>, max_bytes: u64) -> Vec<Vec<(String, Weight)>> {
    let mut shards: Vec<Vec<(String, Weight)>> = vec![Vec::new()];
    let mut held = 0;
    for (name, weight) in weights {
        let bytes = weight.data_len() as u64;
        if held > 0 && held + bytes > max_bytes {
            shards.push(Vec::new());
            held = 0;
        }
        held += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push((name, weight));
        }
    }
    shards
}

/// A tensor whose bytes are made when the writer comes to it, one tensor at a time.
pub(crate) enum Weight {
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

    pub(crate) fn num_values(&self) -> usize {
        self.shape().iter().product()
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
