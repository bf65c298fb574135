//! Broken and hostile model files: always an error that names file and field, never a crash.

use std::path::Path;

use ingrain_lm::{CausalLm, LmError, ModelSource};
use ingrain_run::Silent;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, View};
use serde_json::{Value, json};

use crate::fixture::{assert_says, copy, path, try_load};

/// `llama_tied` with one field of `config.json` changed, or left out if `null`.
#[track_caller]
fn check_config(field: &str, value: Value, words: &[&str]) {
    let dir = copy("tiny_models/llama_tied");
    let file = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let object = config.as_object_mut().unwrap();
    match value {
        Value::Null => drop(object.remove(field)),
        value => drop(object.insert(field.to_owned(), value)),
    }
    std::fs::write(&file, config.to_string()).unwrap();
    let words = [&["config.json", field][..], words].concat();
    assert_says(try_load(dir.path()), &words);
}

/// `llama_tied` with its tensors changed: name, type, shape and bytes of each.
fn rewrite(
    change: impl Fn(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>),
) -> Result<CausalLm, LmError> {
    let dir = copy("tiny_models/llama_tied");
    let file = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, View::dtype(&view), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    change(&mut all);
    let views = all.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    try_load(dir.path())
}

/// The file of a shard index, with these contents.
#[track_caller]
fn check_index(index: &str, words: &[&str]) {
    let dir = copy("tiny_models/llama3_scaled");
    std::fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    assert_says(try_load(dir.path()), words);
}

fn write_bytes(bytes: &[u8], name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    (dir, file)
}

#[test]
fn fields_that_are_missing_misshapen_or_absurd_are_named() {
    check_config("hidden_size", Value::Null, &["missing"]);
    check_config("hidden_size", json!("64"), &["\"64\"", "whole number"]);
    check_config("hidden_size", json!(-1), &["-1"]);
    check_config("hidden_size", json!(0), &["is 0"]);
    check_config("num_attention_heads", json!(0), &["is 0"]);
    check_config("num_key_value_heads", json!(0), &["is 0"]);
    check_config("num_key_value_heads", json!(3), &["multiple"]);
    check_config("num_hidden_layers", json!(1u64 << 60), &["expected 1 to"]);
    check_config("vocab_size", json!(u64::MAX), &["expected 1 to"]);
    check_config("head_dim", json!(15), &["even"]);
    check_config("rms_norm_eps", json!(-1e-5), &["at least 0"]);
    check_config("rms_norm_eps", json!("small"), &["a number"]);
    check_config("tie_word_embeddings", json!("yes"), &["true or false"]);
    check_config("hidden_act", json!("gelu"), &["\"gelu\"", "silu"]);
    check_config("rope_parameters", json!([1]), &["an object"]);
}

#[test]
fn an_architecture_that_is_not_supported_is_named_with_those_that_are() {
    check_config("model_type", json!("mamba"), &["\"mamba\"", "supported: ", "llama"]);
    check_config("model_type", Value::Null, &["missing"]);
}

#[test]
fn rotary_scalings_that_make_no_sense_are_refused() {
    let check = |value: Value, words: &[&str]| check_config("rope_parameters", value, words);
    // The error is about a field within.
    let refused = |value: Value, words: &[&str]| {
        let dir = copy("tiny_models/llama_tied");
        let file = dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config["rope_parameters"] = value;
        std::fs::write(&file, config.to_string()).unwrap();
        assert_says(try_load(dir.path()), &[&["config.json"], words].concat());
    };
    check(json!("llama3"), &["an object"]);
    refused(
        json!({"rope_type": "dynamic", "factor": 2.0}),
        &["rope_type", "\"dynamic\"", "llama3"],
    );
    refused(json!({"rope_type": "yarn"}), &["factor", "missing"]);
    refused(json!({"rope_type": "yarn", "factor": 4.0, "mscale": 1.0}), &["mscale"]);
    refused(json!({"rope_type": "linear", "factor": 0.0}), &["factor", "above 0"]);
    refused(json!({"rope_type": "linear"}), &["factor", "missing"]);
    refused(json!({"rope_type": "default", "rope_theta": -1.0}), &["rope_theta", "-1"]);
    refused(json!({"rope_type": "default", "rope_theta": "big"}), &["rope_theta", "a number"]);
}

#[test]
fn tensors_that_are_missing_misshapen_or_of_another_type_are_named() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let place = |all: &[(String, Dtype, Vec<usize>, Vec<u8>)]| {
        all.iter().position(|t| t.0 == name).unwrap()
    };
    let missing = rewrite(|all| drop(all.remove(place(all))));
    assert_says(missing, &[name, "missing"]);
    let turned = rewrite(|all| {
        let at = place(all);
        all[at].2.reverse();
    });
    assert_says(turned, &["model.safetensors", name, "[64, 96]", "[96, 64]"]);
    let integers = rewrite(|all| {
        let at = place(all);
        all[at].1 = Dtype::I32;
    });
    assert_says(integers, &["model.safetensors", name, "I32", "BF16"]);
}

#[test]
fn a_weight_that_is_no_number_is_refused_with_its_place() {
    for (bytes, word) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "inf")] {
        let damaged = rewrite(|all| {
            let (name, _, _, data) = &mut all[3];
            assert!(name.starts_with("model.layers.0"));
            data[20..24].copy_from_slice(&bytes.to_le_bytes());
        });
        assert_says(damaged, &["model.layers.0", "value 5", word, "damaged"]);
    }
}

#[test]
fn half_precision_weights_are_read() {
    let half = rewrite(|all| {
        for (_, dtype, _, data) in all {
            *data = data.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
            *dtype = Dtype::BF16;
        }
    });
    let expected = crate::fixture::logits(&crate::fixture::tiny("llama_tied"), &[5, 9], None);
    let found = crate::fixture::logits(&half.unwrap(), &[5, 9], None);
    let worst = crate::fixture::difference(&found, &expected);
    assert!(worst > 0.0 && worst < 0.5, "cut to bf16: {worst}");
}

#[test]
fn a_shard_index_cannot_reach_outside_its_directory() {
    for name in ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", ".", "..", ""] {
        let index = json!({"weight_map": {"model.norm.weight": name}}).to_string();
        check_index(&index, &["index.json", "model.norm.weight", "not a plain file name"]);
    }
    check_index(r#"{"weight_map": {"model.norm.weight": 3}}"#, &["index.json", "3"]);
    check_index(r#"{"weight_map": []}"#, &["index.json", "weight_map"]);
    check_index("{}", &["index.json", "weight_map", "missing"]);
    check_index("{", &["index.json", "JSON"]);
    let absent =
        json!({"weight_map": {"model.norm.weight": "model-00009.safetensors"}}).to_string();
    check_index(&absent, &["model-00009.safetensors", "No such file"]);
}

#[test]
fn shards_that_hold_the_same_tensor_twice_are_refused() {
    let dir = copy("tiny_models/llama3_scaled");
    let shard = |n: u32| dir.path().join(format!("model-0000{n}-of-00002.safetensors"));
    std::fs::copy(shard(1), shard(2)).unwrap();
    assert_says(try_load(dir.path()), &["model-00002-of-00002.safetensors", "in two shards"]);
}

#[test]
fn safetensors_cut_anywhere_are_refused() {
    let whole = std::fs::read(path("tiny_models/llama_tied/model.safetensors")).unwrap();
    let dir = copy("tiny_models/llama_tied");
    let file = dir.path().join("model.safetensors");
    let cuts = [0, 1, 7, 8, 9, 100, 1000].into_iter().chain((2000..whole.len()).step_by(9973));
    for length in cuts.chain([whole.len() - 1]) {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert_says(try_load(dir.path()), &["model.safetensors", "not a valid safetensors file"]);
    }
}

#[test]
fn gguf_files_cut_anywhere_are_refused() {
    let whole = std::fs::read(path("gguf/llama_tied.q4_1.gguf")).unwrap();
    let (_dir, file) = write_bytes(&whole, "model.gguf");
    assert!(try_load(&file).is_ok());
    let cuts = (0..64).chain((64..whole.len()).step_by(211)).chain([whole.len() - 1]);
    for length in cuts {
        std::fs::write(&file, &whole[..length]).unwrap();
        let error = try_load(&file).expect_err("a file cut short").to_string();
        assert!(error.contains("model.gguf"), "cut at {length}: {error}");
    }
}

/// A file with one string of its bytes replaced by another of the same length.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + from.len()].copy_from_slice(to);
    bytes
}

/// A file with the four bytes after a metadata key and its type replaced.
fn with_u32(bytes: &[u8], key: &str, value: u32) -> Vec<u8> {
    let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap();
    let start = at + key.len() + 4;
    let mut bytes = bytes.to_vec();
    bytes[start..start + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn gguf_metadata_and_tensors_that_do_not_fit_are_named() {
    let whole = std::fs::read(path("gguf/llama_tied.q8_0.gguf")).unwrap();
    let check = |bytes: Vec<u8>, words: &[&str]| {
        let (_dir, file) = write_bytes(&bytes, "model.gguf");
        assert_says(try_load(&file), &[&["model.gguf"], words].concat());
    };
    check(
        patched(&whole, b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba"),
        &["general.architecture", "\"mamba\"", "llama"],
    );
    check(
        patched(&whole, b"blk.1.ffn_up.weight", b"blk.1.ffn_xx.weight"),
        &["blk.1.ffn_up.weight", "missing"],
    );
    check(
        patched(&whole, b"token_embd.weight", b"token_xxxx.weight"),
        &["token_embd.weight", "missing"],
    );
    check(
        patched(&whole, b"llama.block_count", b"llama.block_xxxxx"),
        &["llama.block_count", "missing"],
    );
    check(with_u32(&whole, "llama.block_count", 0), &["block_count", "is 0"]);
    check(with_u32(&whole, "llama.block_count", u32::MAX), &["block_count", "expected 1 to"]);
    check(with_u32(&whole, "llama.block_count", 3), &["blk.2.", "missing"]);
    check(
        with_u32(&whole, "llama.feed_forward_length", 95),
        &["blk.0.ffn_gate", "[96, 64]", "[95, 64]"],
    );
    check(with_u32(&whole, "llama.attention.head_count", 0), &["num_attention_heads", "is 0"]);
    check(
        with_u32(&whole, "llama.rope.dimension_count", 8),
        &["llama.rope.dimension_count", "is 8"],
    );
    let nan = f32::NAN.to_bits();
    check(
        with_u32(&whole, "llama.attention.layer_norm_rms_epsilon", nan),
        &["rms_norm_eps", "NaN"],
    );
    check(with_u32(&whole, "llama.rope.freq_base", nan), &["rope_theta", "NaN"]);
}

#[test]
fn models_that_name_nothing_say_what_would_do() {
    let parse = |spec: &str| spec.parse::<ModelSource>();
    assert_says(parse("no-such-model"), &["no-such-model", ".gguf", "smollm2-135m-instruct"]);
    assert_says(parse(""), &["directory"]);
    assert_says(parse("org/name:../outside"), &["org/name:../outside", "hub id"]);
    assert_says(parse("./no/such/dir"), &["./no/such/dir", "directory"]);
    let gone = parse("/no/such/model.gguf").unwrap();
    assert_says(gone.resolve(&Silent), &["/no/such/model.gguf", "No such file"]);
    let empty = tempfile::tempdir().unwrap();
    let name = empty.path().to_str().unwrap();
    assert_says(parse(name).unwrap().resolve(&Silent), &[name, "no .safetensors file"]);
}

// Pickles run code when they are read; whoever has only those is told what to do.
#[test]
fn weights_that_are_there_only_as_a_pickle_are_named() {
    let words = ["pytorch_model.bin", "convert it to safetensors"];
    let dir = copy("tiny_models/llama_tied");
    let weights = dir.path().join("model.safetensors");
    std::fs::rename(&weights, dir.path().join("pytorch_model.bin")).unwrap();
    assert_says(try_load(dir.path()), &words);
    let alone = tempfile::tempdir().unwrap();
    std::fs::write(alone.path().join("pytorch_model.bin"), "pickled").unwrap();
    let source: ModelSource = alone.path().to_str().unwrap().parse().unwrap();
    assert_says(source.resolve(&Silent), &words);
    let dir = copy("peft/plain");
    let weights = dir.path().join("adapter_model.safetensors");
    std::fs::rename(&weights, dir.path().join("adapter_model.bin")).unwrap();
    let load = ingrain_lm::Adapter::load(dir.path(), &crate::fixture::tiny("llama_tied"));
    assert_says(load, &["adapter_model.bin", "convert it to safetensors"]);
}

#[test]
fn a_part_of_a_gguf_model_is_no_model() {
    let bytes = ingrain_gguf::GgufWriter::new()
        .text("general.architecture", "llama")
        .u32("split.count", 3)
        .tensor("token_embd.weight", &[2, 1], &[0.5, 1.0])
        .finish();
    let (_dir, file) = write_bytes(&bytes, "model.gguf");
    assert_says(try_load(&file), &["model.gguf", "one of 3 parts", "join"]);
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_embedding_is_refused() {
    let dir = copy("gguf");
    let file = dir.path().join("llama_tied.f32.gguf");
    let whole = std::fs::read(&file).unwrap();
    // The shape of the embedding, `[64, 320]` in GGUF's order, made smaller.
    let shape = [&b"token_embd.weight\x02\0\0\0\x40\0\0\0\0\0\0\0"[..], &320u64.to_le_bytes()];
    let smaller = [shape[0], &300u64.to_le_bytes()];
    std::fs::write(&file, patched(&whole, &shape.concat(), &smaller.concat())).unwrap();
    let source: ModelSource = file.to_str().unwrap().parse().unwrap();
    let files = source.resolve(&Silent).unwrap();
    let load = ingrain_lm::LocalModel::load(&files, &crate::fixture::device());
    assert_says(load, &["llama_tied.f32.gguf", "320", "300"]);
}

#[test]
fn missing_files_of_a_directory_are_named() {
    for missing in ["config.json", "model.safetensors"] {
        let dir = copy("tiny_models/llama_tied");
        let files =
            dir.path().to_str().unwrap().parse::<ModelSource>().unwrap().resolve(&Silent).unwrap();
        std::fs::remove_file(dir.path().join(missing)).unwrap();
        let load = CausalLm::load(&files, &crate::fixture::device());
        assert_says(load, &[missing, "No such file"]);
    }
}

/// Loads and, if that works, runs: neither may panic.
fn load_and_run(path: &Path) {
    if let Ok(model) = try_load(path) {
        let _ = crate::fixture::logits(&model, &[0, 1, 2], None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    // Most flips hit weights, which may be any number; those in the first bytes hit the header.
    #[test]
    fn changed_bytes_never_crash_a_gguf_load(
        flips in prop::collection::vec((prop_oneof![0usize..3000, 0usize..60_000], any::<u8>()), 1..4),
    ) {
        let mut bytes = std::fs::read(path("gguf/llama_tied.q4_1.gguf")).unwrap();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let (_dir, file) = write_bytes(&bytes, "model.gguf");
        load_and_run(&file);
    }

    #[test]
    fn changed_bytes_never_crash_a_safetensors_load(
        flips in prop::collection::vec((prop_oneof![0usize..2200, 0usize..400_000], any::<u8>()), 1..4),
    ) {
        let dir = copy("tiny_models/llama_tied");
        let file = dir.path().join("model.safetensors");
        let mut bytes = std::fs::read(&file).unwrap();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        std::fs::write(&file, bytes).unwrap();
        load_and_run(dir.path());
    }

    #[test]
    fn changed_digits_never_crash_a_configuration(
        at in 0usize..2000, value in prop::sample::select(b"0123456789-.e\"{}[],ntf ".to_vec()),
    ) {
        let dir = copy("tiny_models/llama3_scaled");
        let file = dir.path().join("config.json");
        let mut bytes = std::fs::read(&file).unwrap();
        let at = at % bytes.len();
        bytes[at] = value;
        std::fs::write(&file, bytes).unwrap();
        load_and_run(dir.path());
    }
}
