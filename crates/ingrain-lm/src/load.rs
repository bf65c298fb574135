//! From files to a model.

use std::path::Path;

use burn::tensor::Device;
use ingrain_gguf::GgufFile;

use crate::config::GgufTensors;
use crate::source::{ModelFiles, ModelFormat};
use crate::weights::{self, GgufWeights, HfWeights, WeightSource};
use crate::{CausalLm, DecoderConfig, LmError};

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

    fn from_hf_dir(dir: &Path, device: &Device) -> Result<Self, LmError> {
        let mut config = DecoderConfig::from_hf_file(&dir.join("config.json"))?;
        let source = HfWeights::open(dir)?;
        if !config.tie_embeddings && source.stored("lm_head.weight").is_none() {
            config.tie_embeddings = true;
        }
        weights::build(config, &source, device)
    }

    fn from_gguf(file: &GgufFile, path: &Path, device: &Device) -> Result<Self, LmError> {
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
        let config = DecoderConfig::from_gguf(file, path, tensors)?;
        let source = GgufWeights::new(path, file, &config);
        weights::build(config, &source, device)
    }
}
