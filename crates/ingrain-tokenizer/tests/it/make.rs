//! Makes small tokenizers: directories and GGUF files.

use std::path::{Path, PathBuf};

use ingrain_gguf::GgufFile;
use ingrain_tokenizer::ChatTokenizer;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Fixtures that all crates share.
pub(crate) fn shared_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

pub(crate) fn fixture(name: &str) -> Value {
    let text = std::fs::read_to_string(fixtures().join(name)).expect("the fixture is there");
    serde_json::from_str(&text).expect("the fixture is JSON")
}

pub(crate) fn template(name: &str) -> String {
    let path = fixtures().join("templates").join(format!("{name}.jinja"));
    std::fs::read_to_string(path).expect("the template is there")
}

/// Special tokens of all the templates in the fixtures.
const SPECIAL: &[&str] = &[
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
];

/// A directory with a byte-level tokenizer without merges (but for two line breaks) and a template.
pub(crate) struct Directory {
    dir: TempDir,
}

impl Directory {
    pub(crate) fn new(template: &str) -> Self {
        let this = Self { dir: tempfile::tempdir().expect("a directory") };
        let mut vocab = serde_json::Map::new();
        for byte in 0..=255_u8 {
            vocab.insert(byte_char(byte).to_string(), json!(byte));
        }
        vocab.insert("ĊĊ".to_owned(), json!(256));
        let added: Vec<Value> = (257..)
            .zip(SPECIAL)
            .map(|(id, token)| {
                json!({
                    "id": id, "content": token, "special": true, "normalized": false,
                    "single_word": false, "lstrip": false, "rstrip": false,
                })
            })
            .collect();
        this.write_json(
            "tokenizer.json",
            &json!({
                "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
                "normalizer": null,
                "pre_tokenizer": {
                    "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
                },
                "post_processor": {
                    "type": "TemplateProcessing",
                    "single": [
                        {"SpecialToken": {"id": "<s>", "type_id": 0}},
                        {"Sequence": {"id": "A", "type_id": 0}},
                    ],
                    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                    "special_tokens": {"<s>": {"id": "<s>", "ids": [257], "tokens": ["<s>"]}},
                },
                "decoder": {
                    "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
                },
                "model": {
                    "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                    "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                    "vocab": vocab, "merges": [["Ċ", "Ċ"]],
                },
            }),
        );
        this.write_json("tokenizer_config.json", &json!({"bos_token": "<s>", "eos_token": "</s>"}));
        this.write("chat_template.jinja", template);
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the file can be written");
    }

    pub(crate) fn write_json(&self, name: &str, value: &Value) {
        self.write(name, &value.to_string());
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("the file is there");
    }

    pub(crate) fn load(&self) -> ChatTokenizer {
        ChatTokenizer::from_hf_dir(self.path()).expect("a good directory")
    }
}

/// A tokenizer whose tokens are bytes, with the template `name` of the fixtures.
pub(crate) fn with_template(name: &str) -> ChatTokenizer {
    Directory::new(&template(name)).load()
}

/// The character that GPT-2 writes for a byte.
fn byte_char(byte: u8) -> char {
    let visible = |b: &u32| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let code = u32::from(byte);
    if visible(&code) {
        return char::from(byte);
    }
    let before = (0..code).filter(|b| !visible(b)).count() as u32;
    char::from_u32(0x100 + before).expect("a character")
}

/// Metadata of a GGUF file without tensors.
#[derive(Default)]
pub(crate) struct Metadata {
    bytes: Vec<u8>,
    count: u64,
}

impl Metadata {
    fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.bytes.extend(string(key));
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(value);
        self.count += 1;
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.key(key, 8, &string(value))
    }

    pub(crate) fn id(self, key: &str, value: u32) -> Self {
        self.key(key, 4, &value.to_le_bytes())
    }

    pub(crate) fn flag(self, key: &str, value: bool) -> Self {
        self.key(key, 7, &[u8::from(value)])
    }

    pub(crate) fn texts(self, key: &str, values: &[String]) -> Self {
        let items: Vec<u8> = values.iter().flat_map(|v| string(v)).collect();
        self.array(key, 8, values.len(), &items)
    }

    pub(crate) fn ints(self, key: &str, values: &[i32]) -> Self {
        let items: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.array(key, 5, values.len(), &items)
    }

    pub(crate) fn floats(self, key: &str, values: &[f32]) -> Self {
        let items: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.array(key, 6, values.len(), &items)
    }

    fn array(self, key: &str, kind: u32, len: usize, items: &[u8]) -> Self {
        let head = [&kind.to_le_bytes()[..], &(len as u64).to_le_bytes()].concat();
        self.key(key, 9, &[head, items.to_vec()].concat())
    }

    pub(crate) fn file(self) -> GgufFile {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend(0_u64.to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(self.bytes);
        GgufFile::from_bytes(out).expect("a valid file")
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The strings of a JSON array.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .expect("an array")
        .iter()
        .map(|item| item.as_str().expect("a string").to_owned())
        .collect()
}

/// The ids of a JSON array.
pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .expect("an array")
        .iter()
        .map(|item| item.as_u64().expect("an id") as u32)
        .collect()
}
