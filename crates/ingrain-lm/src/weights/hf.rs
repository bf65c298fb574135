//! HF directories: `model.safetensors`, or shards with their index.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use safetensors::Dtype;
use serde_json::Value;

use super::tensor_file::TensorFile;
use super::{WeightSource, text_name};
use crate::LmError;
use crate::config::Family;
use crate::small_file;

/// The tensors of an HF directory, `model.safetensors` or shards with their index, read one by one.
///
/// Names are those of a text-only checkpoint: the prefix under which a multimodal one nests its language
/// model is left out.
#[derive(Debug)]
pub struct HfWeights {
    dir: PathBuf,
    shards: Vec<TensorFile>,
    /// Name in a text-only checkpoint to shard and name in this one.
    places: BTreeMap<String, (usize, String)>,
}

impl HfWeights {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`LmError::Io`] if a file is missing, [`LmError::File`] if one is damaged or a name is in two shards.
    pub fn open(dir: &Path) -> Result<Self, LmError> {
        let index = dir.join("model.safetensors.index.json");
        if !index.is_file() {
            return Self::open_files(dir, vec!["model.safetensors".to_owned()]);
        }
        Self::open_files(dir, shard_names(&index)?)
    }

    /// Reads the header of a single file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_file(path: &Path) -> Result<Self, LmError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::open_files(path.parent().unwrap_or(Path::new("")), vec![name])
    }

    fn open_files(dir: &Path, files: Vec<String>) -> Result<Self, LmError> {
        let mut weights = Self { dir: dir.to_owned(), shards: Vec::new(), places: BTreeMap::new() };
        for name in files {
            let file = TensorFile::open(&dir.join(name))?;
            for name in file.names() {
                let place = (weights.shards.len(), name.clone());
                if weights.places.insert(text_name(&name), place).is_some() {
                    return Err(LmError::file(file.path(), format!("{name} is in two shards")));
                }
            }
            weights.shards.push(file);
        }
        Ok(weights)
    }

    /// The tensors' names, sorted.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The values of a tensor as f32, in row-major order.
    ///
    /// # Errors
    /// [`LmError::File`] naming the tensor if it is missing, of another shape, or no float.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let (shard, stored) = self
            .places
            .get(name)
            .ok_or_else(|| LmError::file(&self.dir, format!("tensor {name} is missing")))?;
        let file = &self.shards[*shard];
        let found = file.shape(stored).unwrap_or_default();
        if found != shape {
            return Err(LmError::file(
                file.path(),
                format!("{stored} has shape {found:?}; config.json makes it {shape:?}"),
            ));
        }
        file.read(stored)
    }

    /// Type and bytes of every tensor.
    pub(crate) fn stored_types(&self) -> Vec<(Dtype, u64)> {
        self.shards.iter().flat_map(TensorFile::stored_types).collect()
    }
}

/// The distinct shard files of an index, which must lie in the directory itself.
pub(crate) fn shard_names(index: &Path) -> Result<Vec<String>, LmError> {
    let text = small_file::read(index)?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| LmError::file(index, format!("is not valid JSON: {e}")))?;
    let map = value
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| LmError::file(index, "weight_map is missing or not an object"))?;
    let mut names: Vec<String> = Vec::new();
    for (tensor, file) in map {
        let file = file
            .as_str()
            .filter(|f| {
                matches!(Path::new(f).components().collect::<Vec<_>>()[..], [Component::Normal(_)])
            })
            .ok_or_else(|| {
                LmError::file(index, format!("{tensor}: shard {file} is not a plain file name"))
            })?;
        if !names.iter().any(|n| n == file) {
            names.push(file.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl WeightSource for HfWeights {
    fn path(&self) -> &Path {
        &self.dir
    }

    fn stored(&self, name: &str) -> Option<String> {
        self.places.get(name).map(|(_, stored)| stored.clone())
    }

    fn names(&self) -> Vec<String> {
        self.places.values().map(|(_, stored)| stored.clone()).collect()
    }

    fn norms_less_one(&self, family: Family) -> bool {
        family.norms_less_one()
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        self.tensor(name, shape)
    }
}
