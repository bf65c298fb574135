//! From files to a model.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use ingrain_gguf::GgufFile;
use serde::Serialize;

use crate::config::GgufTensors;
use crate::source::{ModelFiles, ModelFormat};
use crate::weights::{self, GgufWeights, HfWeights, RandomWeights, WeightSource};
use crate::{CausalLm, DecoderConfig, LmError};

const CONFIG_FILE: &str = "config.json";

impl CausalLm {
    /// Reads the weights of resolved files onto `device`, as f32.
    ///
    /// # Errors
    /// [`LmError`] naming the file and the tensor or field that is missing, misshapen or damaged.
    pub fn load(files: &ModelFiles, device: &Device) -> Result<Self, LmError> {
        match &files.format {
            ModelFormat::Directory(dir) => Self::from_hf_dir(dir, device),
            ModelFormat::Gguf(path) => Self::from_gguf(&GgufFile::open(path)?, path, device),
        }
    }

    /// A model of random weights: matrices with a standard deviation of 0.02, norms one, biases zero.
    ///
    /// For measuring shapes; it has learnt nothing. The same `seed` gives the same model on every machine.
    ///
    /// # Errors
    /// [`LmError`] if a number of the configuration is out of range.
    pub fn random(config: DecoderConfig, seed: u64, device: &Device) -> Result<Self, LmError> {
        let source = RandomWeights::new(seed);
        weights::build(config.validated(source.path())?, &source, device)
    }

    fn from_hf_dir(dir: &Path, device: &Device) -> Result<Self, LmError> {
        let mut config = DecoderConfig::from_hf_file(&dir.join(CONFIG_FILE))?;
        let source = HfWeights::open(dir)?;
        if !config.tie_embeddings && source.stored("lm_head.weight").is_none() {
            config.tie_embeddings = true;
        }
        weights::build(config, &source, device)
    }

    fn from_gguf(file: &GgufFile, path: &Path, device: &Device) -> Result<Self, LmError> {
        let config = gguf_config(file, path)?;
        let source = GgufWeights::new(path, file, &config);
        weights::build(config, &source, device)
    }
}

impl ModelFiles {
    /// The configuration alone, without reading weights.
    ///
    /// # Errors
    /// As [`DecoderConfig::from_hf_file`].
    pub fn config(&self) -> Result<DecoderConfig, LmError> {
        match &self.format {
            ModelFormat::Directory(dir) => DecoderConfig::from_hf_file(&dir.join(CONFIG_FILE)),
            ModelFormat::Gguf(path) => gguf_config(&GgufFile::open(path)?, path),
        }
    }

    /// How the files hold their tensors: a type, how many of it, and their bytes; by name of the type.
    ///
    /// # Errors
    /// [`LmError`] if a file cannot be read.
    pub fn stored_types(&self) -> Result<BTreeMap<String, StoredType>, LmError> {
        let mut types: BTreeMap<String, StoredType> = BTreeMap::new();
        let mut add = |dtype: String, bytes: u64| {
            let entry = types.entry(dtype).or_default();
            entry.tensors += 1;
            entry.bytes += bytes;
        };
        match &self.format {
            ModelFormat::Directory(dir) => {
                for (dtype, bytes) in HfWeights::open(dir)?.stored_types() {
                    add(format!("{dtype:?}"), bytes);
                }
            }
            ModelFormat::Gguf(path) => {
                for tensor in GgufFile::open(path)?.tensors() {
                    add(tensor.dtype().to_string(), tensor.byte_len() as u64);
                }
            }
        }
        Ok(types)
    }
}

/// How many tensors of one type there are in a model's files, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoredType {
    /// Number of tensors.
    pub tensors: usize,
    /// Their size in the file.
    pub bytes: u64,
}

fn gguf_config(file: &GgufFile, path: &Path) -> Result<DecoderConfig, LmError> {
    let parts = file.get::<u64>("split.count")?.unwrap_or(1);
    if parts > 1 {
        let reason = format!("is one of {parts} parts; join them (llama-gguf-split --merge)");
        return Err(LmError::file(path, reason));
    }
    let rope_factors = match file.tensor("rope_freqs.weight") {
        Some(_) => Some(file.dequantize("rope_freqs.weight")?),
        None => None,
    };
    let vocab_size = file.require_tensor("token_embd.weight")?.shape().first().copied();
    let tensors = GgufTensors {
        tied: file.tensor("output.weight").is_none(),
        rope_factors,
        vocab_size: vocab_size.unwrap_or(0),
    };
    DecoderConfig::from_gguf(file, path, tensors)
}
