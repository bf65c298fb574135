//! The tensors of an encoder, by name.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ingrain_lm::HfWeights;
use ingrain_run::write_atomic;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::ClassifierError;

/// Under which prefix checkpoints of whole tasks hold an encoder.
const PREFIXES: [&str; 3] = ["", "bert.", "model."];
/// What belongs to the encoder itself; heads of tasks have other names.
const PARTS: [&str; 4] = ["embeddings.", "encoder.", "layers.", "final_norm."];
/// A table of numbers from 0 that older checkpoints hold.
const COUNTING: &str = "embeddings.position_ids";

/// Name and shape of a tensor; a vector is one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorShape {
    pub(crate) name: String,
    pub(crate) dims: [usize; 2],
    /// Whether files hold it with a single axis.
    pub(crate) is_vector: bool,
}

impl TensorShape {
    pub(crate) fn matrix(name: impl Into<String>, rows: usize, columns: usize) -> Self {
        Self { name: name.into(), dims: [rows, columns], is_vector: false }
    }

    pub(crate) fn vector(name: impl Into<String>, len: usize) -> Self {
        Self { name: name.into(), dims: [1, len], is_vector: true }
    }

    fn stored(&self) -> &[usize] {
        if self.is_vector { &self.dims[1..] } else { &self.dims }
    }
}

/// Tensors by their name in a checkpoint of the bare encoder. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights(BTreeMap<String, Tensor<2>>);

impl Weights {
    /// Reads `shapes` from the safetensors files of an HF directory.
    pub(crate) fn load(
        dir: &Path,
        shapes: &[TensorShape],
        device: &Device,
    ) -> Result<Self, ClassifierError> {
        Self::read(&HfWeights::open(dir)?, dir, shapes, device)
    }

    /// Reads `shapes` from one safetensors file.
    pub(crate) fn load_file(
        path: &Path,
        shapes: &[TensorShape],
        device: &Device,
    ) -> Result<Self, ClassifierError> {
        Self::read(&HfWeights::open_file(path)?, path, shapes, device)
    }

    fn read(
        file: &HfWeights,
        place: &Path,
        shapes: &[TensorShape],
        device: &Device,
    ) -> Result<Self, ClassifierError> {
        let bad = |reason: String| ClassifierError::file(place, reason);
        let names: Vec<&str> = file.tensor_names().collect();
        let has = |name: &str| names.binary_search(&name).is_ok();
        let first = shapes.first().map_or("", |shape| shape.name.as_str());
        let prefix = PREFIXES.into_iter().find(|prefix| has(&format!("{prefix}{first}")));
        let prefix =
            prefix.ok_or_else(|| bad(format!("tensor {first} is missing from its weights")))?;
        let mut needed = Vec::with_capacity(shapes.len());
        let mut tensors = BTreeMap::new();
        for shape in shapes {
            let name = format!("{prefix}{}", shape.name);
            let stored = if has(&name) { name } else { older_name(&name) };
            let values = file.tensor(&stored, shape.stored())?;
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(bad(format!("{stored}: value {at} is {}", values[at])));
            }
            let tensor = Tensor::from_data(TensorData::new(values, shape.dims), device);
            tensors.insert(shape.name.clone(), tensor);
            needed.push(stored);
        }
        let left_over = names.into_iter().find(|name| {
            let own = name.strip_prefix(prefix).unwrap_or_default();
            let is_part = PARTS.iter().any(|part| own.starts_with(part));
            is_part && own != COUNTING && !needed.iter().any(|known| known == name)
        });
        match left_over {
            None => Ok(Self(tensors)),
            Some(name) => Err(bad(format!(
                "holds {name}, which the encoder of its config.json does not have"
            ))),
        }
    }

    /// Tensors by name, for instance those of these that train.
    pub(crate) fn named(tensors: impl IntoIterator<Item = (String, Tensor<2>)>) -> Self {
        Self(tensors.into_iter().collect())
    }

    /// Every tensor with its name, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<2>)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// These, with those of `other` in place of their namesakes.
    #[must_use]
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut tensors = self.0.clone();
        tensors.extend(other.0.iter().map(|(name, tensor)| (name.clone(), tensor.clone())));
        Self(tensors)
    }

    /// The same with each tensor replaced by what `f` makes of it.
    #[must_use]
    pub(crate) fn map(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        Self(self.0.iter().map(|(name, x)| (name.clone(), f(name, x.clone()))).collect())
    }

    /// A tensor that the configuration asked for when the weights were read.
    pub(crate) fn get(&self, name: &str) -> Tensor<2> {
        match self.0.get(name) {
            Some(tensor) => tensor.clone(),
            None => unreachable!("{name} was checked when the weights were read"),
        }
    }

    /// `x W^T + b`, `x: [tokens, in]`; without `b` where the model has none.
    pub(super) fn linear(&self, x: Tensor<2>, module: &str) -> Tensor<2> {
        let y = x.matmul(self.get(&format!("{module}.weight")).transpose());
        match self.0.get(&format!("{module}.bias")) {
            Some(bias) => y + bias.clone(),
            None => y,
        }
    }

    /// `(x - mean) / sqrt(variance + eps) * w + b` over the last axis; without `b` where the model has
    /// none.
    pub(super) fn layer_norm(&self, x: Tensor<2>, module: &str, eps: f64) -> Tensor<2> {
        let centred = x.clone() - x.mean_dim(1);
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        let scale = variance.add_scalar(eps).sqrt().recip();
        let y = centred * scale * self.get(&format!("{module}.weight"));
        match self.0.get(&format!("{module}.bias")) {
            Some(bias) => y + bias.clone(),
            None => y,
        }
    }

    /// Writes `shapes` as f32 to a safetensors file, in one step.
    pub(crate) fn save(&self, path: &Path, shapes: &[TensorShape]) -> Result<(), ClassifierError> {
        let bad = |reason: String| ClassifierError::file(path, reason);
        let mut blobs = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let tensor = self.get(&shape.name).without_autodiff();
            let values = tensor.into_data().try_to_vec::<f32>().map_err(|error| {
                ClassifierError::Device { what: "a weight", reason: format!("{error:?}") }
            })?;
            blobs.push(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        }
        let mut views = Vec::with_capacity(shapes.len());
        for (shape, bytes) in shapes.iter().zip(&blobs) {
            let view = TensorView::new(Dtype::F32, shape.stored().to_vec(), bytes);
            views.push((shape.name.as_str(), view.map_err(|e| bad(e.to_string()))?));
        }
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes =
            safetensors::serialize(views, Some(metadata)).map_err(|e| bad(e.to_string()))?;
        Ok(write_atomic(path, &bytes)?)
    }
}

/// Checkpoints converted from TensorFlow call the two vectors of a norm `gamma` and `beta`.
fn older_name(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((module, "weight")) if module.ends_with("LayerNorm") => format!("{module}.gamma"),
        Some((module, "bias")) if module.ends_with("LayerNorm") => format!("{module}.beta"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_norm_of_equal_values_is_its_bias() {
        let device = Device::flex();
        let row = |values: [f32; 2]| Tensor::<2>::from_data([values], &device);
        let weights = Weights::named([
            ("n.weight".to_owned(), row([2.0, 3.0])),
            ("n.bias".to_owned(), row([0.5, -0.5])),
        ]);
        let y =
            weights.layer_norm(Tensor::from_data([[7.0, 7.0], [1.0, 3.0]], &device), "n", 1e-12);
        // The second row has mean 2 and deviation 1.
        let expected = [0.5, -0.5, -1.5, 2.5];
        let found = y.into_data().try_to_vec::<f32>().expect("f32");
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{found:?}");
        }
    }

    #[test]
    fn norms_of_older_checkpoints_are_found() {
        assert_eq!(older_name("bert.x.LayerNorm.weight"), "bert.x.LayerNorm.gamma");
        assert_eq!(older_name("bert.x.LayerNorm.bias"), "bert.x.LayerNorm.beta");
        assert_eq!(older_name("x.dense.weight"), "x.dense.weight");
    }
}
