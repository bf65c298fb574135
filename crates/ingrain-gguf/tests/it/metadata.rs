//! Metadata and tensors of a valid file.

use std::io::Write;

use ingrain_gguf::{Array, GgmlType, GgufError, GgufFile, Value};

use crate::write::valid;

fn file() -> GgufFile {
    GgufFile::from_bytes(valid().finish()).expect("a valid file")
}

#[test]
fn values_come_out_typed() {
    let file = file();
    assert_eq!(file.version(), 3);
    assert_eq!(file.require::<&str>("general.architecture").unwrap(), "llama");
    assert_eq!(file.require::<usize>("llama.block_count").unwrap(), 30);
    assert_eq!(file.require::<u64>("llama.block_count").unwrap(), 30);
    assert_eq!(file.require::<f32>("llama.rope.freq_base").unwrap(), 100_000.0);
    assert_eq!(file.require::<f32>("test.double").unwrap(), 1.5);
    assert!(file.require::<bool>("tokenizer.ggml.add_bos_token").unwrap());
    assert_eq!(
        file.require::<&[String]>("tokenizer.ggml.tokens").unwrap(),
        ["<s>", "hello", "wörld"]
    );
    assert_eq!(file.require::<Vec<i64>>("tokenizer.ggml.token_type").unwrap(), [3, 1, 1]);
    assert_eq!(file.require::<&[f32]>("tokenizer.ggml.scores").unwrap(), [0.5]);
    assert_eq!(file.require::<i64>("test.negative").unwrap(), -7);
    assert_eq!(file.get::<u32>("absent").unwrap(), None);
    assert_eq!(
        file.metadata("test.nested"),
        Some(&Value::Array(Array::Array(vec![Array::U32(vec![1, 2])])))
    );
    assert_eq!(file.metadata_entries().count(), 11);
}

#[test]
fn a_missing_key_is_named() {
    let error = file().require::<u32>("llama.context_length").unwrap_err();
    assert_eq!(
        error.to_string(),
        "<memory>: metadata key \"llama.context_length\" is missing; the file does not describe such a model"
    );
}

#[test]
fn a_value_of_another_type_or_size_is_named() {
    let file = file();
    let text = |error: GgufError| error.to_string();
    assert_eq!(
        text(file.require::<u32>("general.architecture").unwrap_err()),
        "<memory>: metadata key \"general.architecture\" holds a string, expected an integer of 32 bits, not negative"
    );
    assert_eq!(
        text(file.require::<u32>("test.negative").unwrap_err()),
        "<memory>: metadata key \"test.negative\" holds the i64 -7, expected an integer of 32 bits, not negative"
    );
    assert_eq!(
        text(file.require::<i64>("test.large").unwrap_err()),
        "<memory>: metadata key \"test.large\" holds the u64 18446744073709551615, expected an integer of 64 bits"
    );
    assert_eq!(
        text(file.require::<&str>("tokenizer.ggml.tokens").unwrap_err()),
        "<memory>: metadata key \"tokenizer.ggml.tokens\" holds an array of 3 string, expected a string"
    );
}

#[test]
fn shapes_are_row_major_and_tensors_keep_their_order() {
    let file = file();
    let names: Vec<&str> = file.tensors().map(|t| t.name()).collect();
    assert_eq!(names, ["norm", "half", "quant", "scalar"]);
    let quant = file.tensor("quant").unwrap();
    assert_eq!(quant.shape(), [2, 32]);
    assert_eq!(quant.dtype(), GgmlType::Q8_0);
    assert_eq!((quant.elements(), quant.byte_len()), (64, 68));
    assert_eq!(file.tensor("scalar").unwrap().shape(), [0; 0]);
    assert_eq!(file.dequantize("scalar").unwrap(), [12.0]);
    assert_eq!(file.dequantize("norm").unwrap(), [1.0, -2.0, 0.5]);
    assert_eq!(file.dequantize("half").unwrap(), [1.0, -2.0, 0.0, f32::INFINITY]);
    let expected: Vec<u8> = (0..68).collect();
    assert_eq!(file.tensor_bytes("quant").unwrap(), expected);
    assert_eq!(
        file.dequantize("missing").unwrap_err().to_string(),
        "<memory>: tensor \"missing\" is missing; the file does not hold such a model"
    );
}

#[test]
fn a_file_on_disk_is_mapped_and_named_in_errors() {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(&valid().finish()).unwrap();
    let file = GgufFile::open(on_disk.path()).unwrap();
    assert_eq!(file.dequantize("norm").unwrap(), [1.0, -2.0, 0.5]);
    let error = file.require::<u32>("absent").unwrap_err().to_string();
    assert!(error.starts_with(&on_disk.path().display().to_string()), "{error}");
}

#[test]
fn an_empty_file_a_missing_one_and_a_directory_are_refused() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(GgufFile::open(empty.path()), Err(GgufError::NotGguf { .. })));
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(GgufFile::open(directory.path()), Err(GgufError::Io { .. })));
    let absent = directory.path().join("absent.gguf");
    let error = GgufFile::open(&absent).unwrap_err();
    assert!(error.to_string().contains("absent.gguf"), "{error}");
}
