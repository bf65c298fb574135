//! The fixtures that all crates share: files written by the Python package `gguf`.

use std::path::{Path, PathBuf};

use ingrain_gguf::{GgmlType, GgufFile};
use safetensors::SafeTensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf").join(name)
}

#[test]
fn every_block_type_of_a_written_file_equals_its_values() {
    let file = GgufFile::open(fixture("blocks.gguf")).unwrap();
    let expected = std::fs::read(fixture("blocks.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    assert!(file.tensors().len() >= 20, "{}", file.tensors().len());
    for tensor in file.tensors() {
        let name = tensor.name();
        assert!(tensor.dtype().name().eq_ignore_ascii_case(name), "{name}");
        let bytes = expected.tensor(&format!("{name}.bytes")).unwrap();
        assert_eq!(file.tensor_bytes(name).unwrap(), bytes.data(), "{name}");
        let values = expected.tensor(&format!("{name}.values")).unwrap();
        assert_eq!(values.shape(), tensor.shape(), "{name}");
        let dequantized = file.dequantize(name).unwrap();
        for (value, bytes) in dequantized.iter().zip(values.data().as_chunks::<4>().0) {
            // A zero may carry either sign.
            let expected = f32::from_le_bytes(*bytes);
            assert!(
                value.to_bits() == expected.to_bits() || *value == 0.0 && expected == 0.0,
                "{name}"
            );
        }
    }
}

#[test]
fn a_model_as_converters_write_it_is_described() {
    let file = GgufFile::open(fixture("llama_tied.q4_0.gguf")).unwrap();
    assert_eq!(file.require::<&str>("general.architecture").unwrap(), "llama");
    let layers: usize = file.require("llama.block_count").unwrap();
    let query = format!("blk.{}.attn_q.weight", layers - 1);
    let query = file.require_tensor(&query).unwrap();
    assert_eq!(query.dtype(), GgmlType::Q4_0);
    let hidden: usize = file.require("llama.embedding_length").unwrap();
    assert_eq!(query.shape()[1], hidden);
    assert!(file.tensor(&format!("blk.{layers}.attn_q.weight")).is_none());
}
