//! Reading the fixtures, and comparing with them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use ingrain_lm::{Adapter, CausalLm, LmError, ModelSource};
use ingrain_run::Silent;
use safetensors::SafeTensors;
use serde_json::Value;

/// The device that the numeric tests run on: `INGRAIN_TEST_DEVICE`, or Flex.
pub(crate) fn device() -> Device {
    let name = std::env::var("INGRAIN_TEST_DEVICE").unwrap_or_else(|_| "flex".to_owned());
    ingrain_lm::device(&name).unwrap()
}

/// A path below the repository's `fixtures/`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// Every tiny model: one a family, more where a family has ways.
pub(crate) const MODELS: [&str; 10] = [
    "llama_tied",
    "llama_untied",
    "llama3_scaled",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "gemma3_text",
    "gemma3_softcap",
    "gemma3_multimodal",
];

/// A model by the string a user would write.
pub(crate) fn try_load(path: &Path) -> Result<CausalLm, LmError> {
    let source: ModelSource = path.to_str().unwrap().parse()?;
    CausalLm::load(&source.resolve(&Silent)?, &device())
}

/// The tiny model of that name.
pub(crate) fn tiny(name: &str) -> CausalLm {
    try_load(&path("tiny_models").join(name)).unwrap()
}

/// The adapter of that name under `fixtures/peft`, for its base `llama_tied`.
pub(crate) fn adapter(name: &str, model: &CausalLm) -> Adapter {
    Adapter::load(&path("peft").join(name), model).unwrap()
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// A list of token ids.
pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

/// A list of numbers.
pub(crate) fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// Every f32 tensor of a safetensors file.
pub(crate) fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    file.tensors().into_iter().map(|(name, view)| (name, values(view.data()))).collect()
}

/// One row of tokens.
pub(crate) fn row(ids: &[u32]) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let shape = [1, ids.len()];
    Tensor::from_data(TensorData::new(ids, shape), &device())
}

/// Logits of every position of one sequence, row after row.
pub(crate) fn logits(model: &CausalLm, ids: &[u32], adapter: Option<&Adapter>) -> Vec<f32> {
    values(model.logits(row(ids), adapter))
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Largest absolute difference.
pub(crate) fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    // `max` would skip what is not a number.
    differences.fold(0.0, |worst, d| if d.is_nan() { f32::INFINITY } else { worst.max(d) })
}

#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    let worst = difference(found, expected);
    assert!(worst <= tolerance, "{what}: differs by {worst:e}, allowed {tolerance:e}");
}

/// An error as a program shows it, which must be one line and contain each of these words.
#[track_caller]
pub(crate) fn assert_says<T>(result: Result<T, LmError>, words: &[&str]) {
    let Err(error) = result else { panic!("expected an error that says {words:?}") };
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
    assert!(!message.contains('\n'), "{message:?} is more than one line");
}

/// A copy of a fixture directory, to be changed.
pub(crate) fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(path(name)).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}
