//! GGUF files: header, metadata, tensor table, dequantisation, and the tokenizer in the metadata.

use ingrain_gguf::{GgufFile, Value};
use ingrain_tokenizer::ChatTokenizer;

/// Pieces that headers are made of.
pub const DICTIONARY: &[&str] = &[
    "GGUF",
    "\u{3}\0\0\0",
    "\u{2}\0\0\0",
    "\0\0\0\0\0\0\0\0",
    "\u{1}\0\0\0\0\0\0\0",
    "\u{8}\0\0\0",
    "\u{9}\0\0\0",
    "\u{20}\0\0\0\0\0\0\0",
    "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
    "general.architecture",
    "general.alignment",
    "llama",
    "tokenizer.ggml.model",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.pre",
    "tokenizer.chat_template",
    "gpt2",
    "token_embd.weight",
];

/// Small files of both versions, and fixtures of every block type.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![small(2), small(3)];
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/gguf");
    for name in ["blocks.gguf", "llama_tied.q4_0.gguf"] {
        seeds.extend(std::fs::read(format!("{fixtures}/{name}")).ok());
    }
    seeds
}

/// A number, a text, a list of texts and a tensor of one block of Q4_0 a row.
fn small(version: u32) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let words = ["a", "b", "ab"].map(text).concat();
    let mut file = [
        &b"GGUF"[..],
        &version.to_le_bytes(),
        &1u64.to_le_bytes(),
        &4u64.to_le_bytes(),
        &[text("general.architecture"), vec![8, 0, 0, 0], text("llama")].concat(),
        &[text("general.alignment"), vec![4, 0, 0, 0, 32, 0, 0, 0]].concat(),
        &[text("tokenizer.ggml.model"), vec![8, 0, 0, 0], text("gpt2")].concat(),
        &[text("tokenizer.ggml.tokens"), vec![9, 0, 0, 0, 8, 0, 0, 0]].concat(),
        &3u64.to_le_bytes(),
        &words,
        &text("token_embd.weight"),
        &2u32.to_le_bytes(),
        &[32u64.to_le_bytes(), 3u64.to_le_bytes()].concat(),
        // Q4_0, at the beginning of the data.
        &2u32.to_le_bytes(),
        &0u64.to_le_bytes(),
    ]
    .concat();
    file.resize(file.len().next_multiple_of(32), 0);
    file.resize(file.len() + 3 * 18, 0x3c);
    file
}

/// Nothing panics; what is listed lies inside the file, and values are as many as the shape says.
pub fn run(data: &[u8]) {
    let Ok(file) = GgufFile::from_bytes(data.to_vec()) else { return };
    for (key, value) in file.metadata_entries() {
        assert!(key.len() <= data.len());
        if let Value::Array(items) = value {
            // Every item takes at least a byte of the file.
            assert!(items.len() <= data.len(), "{key}: {} items", items.len());
        }
    }
    // A file of 64 KiB holds 2^18 values of two bits at most; others refuse to be read.
    for tensor in file.tensors() {
        if let Ok(bytes) = file.tensor_bytes(tensor.name()) {
            assert!(bytes.len() <= data.len());
        }
        if let Ok(values) = file.dequantize(tensor.name()) {
            assert_eq!(values.len(), tensor.shape().iter().product::<usize>());
            assert!(values.len() <= data.len() * 8);
        }
    }
    let _ = ChatTokenizer::from_gguf(&file);
}
