//! HF directories: `model.safetensors`, or shards with their index.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use serde_json::Value;

use super::{WeightSource, map_file, to_f32};
use crate::LmError;

/// The tensors of an HF directory.
pub(crate) struct HfWeights {
    dir: PathBuf,
    shards: Vec<(PathBuf, Mmap)>,
    /// Tensor name to shard.
    places: BTreeMap<String, usize>,
}

impl HfWeights {
    pub(crate) fn open(dir: &Path) -> Result<Self, LmError> {
        let index = dir.join("model.safetensors.index.json");
        let files = if index.is_file() {
            shard_names(&index)?
        } else {
            vec!["model.safetensors".to_owned()]
        };
        let mut weights = Self { dir: dir.to_owned(), shards: Vec::new(), places: BTreeMap::new() };
        for name in files {
            let path = dir.join(name);
            let map = map_file(&path)?;
            let file = parse(&path, &map)?;
            for name in file.names() {
                if weights.places.insert(name.to_string(), weights.shards.len()).is_some() {
                    return Err(LmError::file(&path, format!("{name} is in two shards")));
                }
            }
            weights.shards.push((path, map));
        }
        Ok(weights)
    }
}

fn parse<'a>(path: &Path, map: &'a Mmap) -> Result<SafeTensors<'a>, LmError> {
    SafeTensors::deserialize(map)
        .map_err(|e| LmError::file(path, format!("is not a valid safetensors file: {e}")))
}

/// The distinct shard files of an index, which must lie in the directory itself.
pub(crate) fn shard_names(index: &Path) -> Result<Vec<String>, LmError> {
    let text = std::fs::read_to_string(index).map_err(LmError::io(index))?;
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

    fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let shard = self
            .places
            .get(name)
            .ok_or_else(|| LmError::file(&self.dir, format!("tensor {name} is missing")))?;
        let (path, map) = &self.shards[*shard];
        let file = parse(path, map)?;
        let view = file.tensor(name).map_err(|e| LmError::file(path, format!("{name}: {e}")))?;
        if view.shape() != shape {
            return Err(LmError::file(
                path,
                format!("{name} has shape {:?}; config.json makes it {shape:?}", view.shape()),
            ));
        }
        to_f32(view.dtype(), view.data()).ok_or_else(|| {
            LmError::file(path, format!("{name} is {:?}; expected F32, F16 or BF16", view.dtype()))
        })
    }
}
