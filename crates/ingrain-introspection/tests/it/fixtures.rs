//! The files under `fixtures/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ingrain_introspection::TokenizedTranscript;
use ingrain_lm::{Adapter, CausalLm, ModelSource, TokenSequence};
use ingrain_run::Silent;
use serde::de::DeserializeOwned;

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

pub(crate) fn json<T: DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(path(name)).expect("a fixture");
    serde_json::from_str(&text).expect("JSON of the expected shape")
}

/// Every f32 tensor of a safetensors file, flat.
pub(crate) fn tensors(name: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path(name)).expect("a fixture");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let floats = |data: &[u8]| -> Vec<f32> {
        data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    file.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect()
}

/// The tiny Llama model that PEFT's fixtures were made with.
pub(crate) fn model() -> CausalLm {
    tiny("llama_tied")
}

/// The tiny model of that name.
pub(crate) fn tiny(name: &str) -> CausalLm {
    let source = ModelSource::Directory(path("tiny_models").join(name));
    let files = source.resolve(&Silent).expect("a model directory");
    CausalLm::load(&files, &Device::flex()).expect("loads")
}

/// The adapter `plain` that PEFT wrote.
pub(crate) fn adapter(model: &CausalLm) -> Adapter {
    Adapter::load(&path("peft/plain"), model).expect("loads")
}

/// Transcripts of different lengths, two turns in the loss each, of a fixed stream of tokens.
pub(crate) fn made_up_transcripts(count: usize) -> Vec<TokenizedTranscript> {
    let mut state = 4_321_u32;
    let mut draw = |low: u32, high: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (state >> 16) % (high - low)
    };
    (0..count)
        .map(|i| {
            let mut sequence = TokenSequence { ids: Vec::new(), completion: Vec::new() };
            for turn in 0..4 {
                for _ in 0..draw(2, 6) {
                    sequence.ids.push(draw(3, 320));
                    sequence.completion.push(turn % 2 == 1);
                }
            }
            TokenizedTranscript { id: format!("talk#{i}"), sequence }
        })
        .collect()
}

/// The exact values of an adapter, for comparisons to the bit.
pub(crate) fn bits(adapter: &Adapter) -> Vec<u32> {
    let values = |(_, t): (String, burn::tensor::Tensor<2>)| t.to_data().try_to_vec::<f32>();
    let values = adapter.parameters().into_iter().flat_map(|p| values(p).expect("f32"));
    values.map(f32::to_bits).collect()
}
