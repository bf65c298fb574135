//! Named matrices in a safetensors file, with a digest of what was written.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ingrain_run::sha256_file;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Size and digest of a file, to tell a whole one from a torn one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileDigest {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Writes `tensors` as f32 to `path` and waits until they are on the disk.
pub(crate) fn write(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, Tensor<2>)>,
) -> Result<FileDigest, TrainError> {
    let mut named = Vec::new();
    for (name, tensor) in tensors {
        let data = tensor.inner().try_into_data_as::<f32>().map_err(|error| {
            TrainError::Device { what: "a parameter", reason: error.to_string() }
        })?;
        named.push((name, data));
    }
    let damaged = |error: safetensors::SafeTensorError| TrainError::CheckpointDamaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut views = Vec::with_capacity(named.len());
    for (name, data) in &named {
        let view = TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes());
        views.push((name, view.map_err(damaged)?));
    }
    safetensors::serialize_to_file(views, None, path).map_err(|error| match error {
        safetensors::SafeTensorError::IoError(source) => TrainError::io(path, "write")(source),
        other => damaged(other),
    })?;
    File::open(path).and_then(|f| f.sync_all()).map_err(TrainError::io(path, "sync"))?;
    digest(path)
}

/// Reads `path`, checks it against `expected`, and puts every tensor on `device`.
pub(crate) fn read(
    path: &Path,
    expected: &FileDigest,
    device: &Device,
) -> Result<BTreeMap<String, Tensor<2>>, TrainError> {
    let damaged = |reason: String| TrainError::CheckpointDamaged { path: path.to_owned(), reason };
    if digest(path)? != *expected {
        return Err(damaged("size or digest differs from state.json".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(TrainError::io(path, "read"))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let &[rows, columns] = view.shape() else {
            return Err(damaged(format!("`{name}` is not a matrix")));
        };
        let (words, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let tensor = Tensor::from_data(TensorData::new(values, [rows, columns]), device);
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

fn digest(path: &Path) -> Result<FileDigest, TrainError> {
    let bytes = std::fs::metadata(path).map_err(TrainError::io(path, "read"))?.len();
    Ok(FileDigest { bytes, sha256: sha256_file(path)? })
}
