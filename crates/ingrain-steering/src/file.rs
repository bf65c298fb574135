//! Control vectors on disk, in the GGUF form of `repeng` (`general.architecture = "controlvector"`, one
//! tensor `direction.N` for block `N`), which llama.cpp reads too.

use std::collections::BTreeMap;
use std::path::Path;

use ingrain_gguf::{GgufFile, GgufWriter};
use ingrain_run::write_atomic;

use crate::{ControlVector, SteeringError};

const ARCHITECTURE: &str = "controlvector";

/// Blocks that a model may have at most; a file that names a later one is broken.
const MAX_BLOCKS: usize = 4096;

impl ControlVector {
    /// Writes the vector.
    ///
    /// # Errors
    /// [`SteeringError::Run`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SteeringError> {
        let mut writer = GgufWriter::new()
            .text("general.architecture", ARCHITECTURE)
            .text("controlvector.model_hint", &self.model_hint)
            .u32("controlvector.layer_count", self.directions.len() as u32);
        for (block, direction) in &self.directions {
            writer = writer.tensor(&format!("direction.{block}"), &[direction.len()], direction);
        }
        Ok(write_atomic(path, &writer.finish())?)
    }

    /// Reads a vector.
    ///
    /// # Errors
    /// [`SteeringError::Gguf`] if it is no GGUF file, [`SteeringError::File`] if it holds something else
    /// than a control vector.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SteeringError> {
        let path = path.as_ref();
        let wrong = |reason: String| SteeringError::File { path: path.to_owned(), reason };
        let file = GgufFile::open(path)?;
        let architecture: &str = file.require("general.architecture")?;
        if architecture != ARCHITECTURE {
            return Err(wrong(format!(
                "general.architecture is {architecture:?}; expected {ARCHITECTURE:?}"
            )));
        }
        let model_hint: &str = file.get("controlvector.model_hint")?.unwrap_or_default();
        let mut directions = BTreeMap::new();
        for tensor in file.tensors() {
            let name = tensor.name();
            let block = name.strip_prefix("direction.").and_then(|block| block.parse().ok());
            let block = block.filter(|&block: &usize| block < MAX_BLOCKS).ok_or_else(|| {
                wrong(format!("tensor {name:?} is not called direction.N with N a block"))
            })?;
            if tensor.shape().len() != 1 {
                let shape = tensor.shape();
                return Err(wrong(format!(
                    "{name} has the shape {shape:?}; expected one dimension"
                )));
            }
            let values = file.dequantize(name)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(wrong(format!("{name} holds something that is no number")));
            }
            directions.insert(block, values);
        }
        if directions.is_empty() {
            return Err(wrong("there is no direction in it".to_owned()));
        }
        Ok(Self { model_hint: model_hint.to_owned(), directions })
    }
}
