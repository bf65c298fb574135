//! Directories in HF layout that are written here, read again.

use std::path::Path;

use ingrain_chat::Message;
use ingrain_lm::{DecoderConfig, ExportOptions, FullWeights, LocalModel, ModelSource};
use ingrain_run::Silent;
use serde_json::Value;

use crate::fixture::{
    MODELS, adapter, assert_close, assert_says, copy, difference, logits, path, tiny, try_load,
};

const TOKENS: [u32; 8] = [5, 9, 200, 17, 3, 44, 180, 311];

fn load(path: &Path) -> LocalModel {
    let source: ModelSource = path.to_str().unwrap().parse().unwrap();
    LocalModel::load(&source.resolve(&Silent).unwrap(), &crate::fixture::device()).unwrap()
}

/// What a model makes of the same tokens before and after it is written.
fn exported(model: &LocalModel) -> (tempfile::TempDir, LocalModel) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    model.export(&out).unwrap();
    let again = load(&out);
    (dir, again)
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn dequantised_weights_give_the_same_logits() {
    for name in ["llama_tied.q4_1", "llama_tied.bf16", "llama_untied.q8_0"] {
        let model = load(&path("gguf").join(format!("{name}.gguf")));
        let (_dir, again) = exported(&model);
        assert_eq!(again.model.config(), model.model.config(), "{name}");
        let found = logits(&again.model, &TOKENS, None);
        assert_eq!(found, logits(&model.model, &TOKENS, None), "{name}");
    }
}

#[test]
fn tokenizer_and_chat_template_go_with_the_weights() {
    let model = load(&path("gguf/llama_tied.q8_0.gguf"));
    let (_dir, again) = exported(&model);
    let messages = [Message::user("Why is the sky blue?"), Message::assistant("It scatters.")];
    for count in [1, 2] {
        let found = again.prompt_ids(&messages[..count]).unwrap();
        assert_eq!(found, model.prompt_ids(&messages[..count]).unwrap());
    }
    assert_eq!(again.tokenizer.stop_ids(), model.tokenizer.stop_ids());
    assert_eq!(again.tokenizer.bos_id(), model.tokenizer.bos_id());
}

#[test]
fn a_merged_model_is_the_model_with_its_adapter() {
    let base = load(&path("tiny_models/llama_tied"));
    let plain = adapter("plain", &base.model);
    let model = base.with_adapter(Some(plain.clone()));
    let (_dir, again) = exported(&model);
    let found = logits(&again.model, &TOKENS, None);
    assert_eq!(found, logits(&base.model.clone().fold(&plain), &TOKENS, None));
    assert_close("side path", &found, &logits(&base.model, &TOKENS, Some(&plain)), 1e-4);
    assert!(difference(&found, &logits(&base.model, &TOKENS, None)) > 0.1);
}

#[test]
fn rotary_scaling_survives_from_either_kind_of_file() {
    // The fixture has weights only; any tokenizer of the family will do.
    let dir = copy("tiny_models/llama3_scaled");
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        std::fs::copy(path("tiny_models/llama_tied").join(file), dir.path().join(file)).unwrap();
    }
    let model = load(dir.path());
    let (_dir, again) = exported(&model);
    assert_eq!(again.model.config(), model.model.config());
    let found = logits(&again.model, &TOKENS, None);
    assert_eq!(found, logits(&model.model, &TOKENS, None));

    // GGUF holds divisors; what they came from is written.
    let model = load(&path("gguf/llama3_scaled.q8_0.gguf"));
    let (dir, again) = exported(&model);
    let original = read(&path("tiny_models/llama3_scaled/config.json"));
    let written = read(&dir.path().join("out/config.json"));
    for key in ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"]
    {
        let (found, wanted) = (&written["rope_scaling"][key], &original["rope_parameters"][key]);
        assert_eq!(found.as_f64(), wanted.as_f64(), "{key}");
    }
    let found = logits(&again.model, &TOKENS, None);
    assert_close("divisors", &found, &logits(&model.model, &TOKENS, None), 1e-4);
}

#[test]
fn a_directory_that_holds_a_model_is_not_overwritten() {
    let model = load(&path("tiny_models/llama_tied"));
    let (dir, _) = exported(&model);
    assert_says(model.export(&dir.path().join("out")), &["model.safetensors", "already there"]);
}

#[test]
#[cfg(unix)]
fn weights_are_as_readable_as_the_other_files() {
    use std::os::unix::fs::PermissionsExt;
    let model = load(&path("tiny_models/llama_tied"));
    let (dir, _) = exported(&model);
    let mode = |name: &str| {
        let file = dir.path().join("out").join(name);
        std::fs::metadata(file).unwrap().permissions().mode()
    };
    assert_eq!(mode("model.safetensors"), mode("config.json"));
}

#[test]
fn no_temporary_file_is_left() {
    let model = load(&path("gguf/llama_tied.q8_0.gguf"));
    let (dir, _) = exported(&model);
    let mut names: Vec<String> = std::fs::read_dir(dir.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
    );
}

#[test]
fn every_family_is_written_so_that_it_is_read_as_the_same_model() {
    let base = load(&path("tiny_models/llama_tied"));
    for name in MODELS {
        // The fixture has weights only; any tokenizer will do.
        let model = tiny(name);
        let tokens: Vec<u32> = TOKENS.iter().map(|id| id % 256).collect();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        base.with_weights(model.clone()).export(&out).unwrap();
        let again = try_load(&out).unwrap();
        let expected = DecoderConfig { nested: false, ..model.config().clone() };
        assert_eq!(again.config(), &expected, "{name}");
        assert_eq!(again.num_parameters(), model.num_parameters(), "{name}");
        let found = logits(&again, &tokens, None);
        assert_close(name, &found, &logits(&model, &tokens, None), 1e-4);
    }
}

#[test]
fn weights_that_trained_are_written_with_the_adapter_beside_them() {
    let base = load(&path("tiny_models/llama_tied"));
    let beside = adapter("plain", &base.model);
    // Gemma keeps its norms less one; the others have tied and untied heads, biases, norms of queries.
    for name in ["llama_tied", "llama_untied", "qwen2", "qwen3", "gemma3_text"] {
        let model = base.with_weights(tiny(name));
        let mut moved = FullWeights::all(&model.model)
            .map_parameters(&mut |_, weight| weight.mul_scalar(1.2).add_scalar(0.01));
        if name == "llama_tied" {
            moved = moved.with_adapter(beside.clone());
        }
        let dir = tempfile::tempdir().unwrap();
        moved.export(&model, dir.path()).unwrap();
        let again = try_load(dir.path()).unwrap();
        let tokens: Vec<u32> = TOKENS.iter().map(|id| id % 256).collect();
        let trained = logits(&moved.put_into(&model.model), &tokens, moved.adapter.as_ref());
        let found = logits(&again, &tokens, None);
        assert_close(name, &found, &trained, 1e-3);
        assert!(difference(&found, &logits(&model.model, &tokens, None)) > 0.1, "{name}");
    }
}

#[test]
fn weights_too_large_for_one_file_go_into_shards_with_an_index() {
    let model = load(&path("tiny_models/llama_tied"));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let options = ExportOptions { max_shard_bytes: 100_000 };
    model.with_adapter(Some(adapter("plain", &model.model))).export_with(&out, &options).unwrap();
    assert!(!out.join("model.safetensors").exists());
    let index = read(&out.join("model.safetensors.index.json"));
    let files: std::collections::BTreeSet<&str> =
        index["weight_map"].as_object().unwrap().values().flat_map(Value::as_str).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        let bytes = std::fs::metadata(out.join(file)).unwrap().len();
        assert!(bytes < 110_000, "{file} has {bytes} bytes, header included");
    }
    let folded = model.model.clone().fold(&adapter("plain", &model.model));
    let again = load(&out);
    assert_eq!(logits(&again.model, &TOKENS, None), logits(&folded, &TOKENS, None));
    assert_says(again.export(&out), &["model.safetensors.index.json", "already there"]);
}
