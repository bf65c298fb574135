//! Adapters that PEFT wrote, and what is written for PEFT.

use std::path::Path;

use ingrain_lm::{Adapter, CausalLm, LmError, LoraConfig};
use serde_json::{Value, json};

use crate::fixture::{
    adapter, assert_close, assert_says, copy, difference, floats, ids, json, logits, path, tensors,
    tiny,
};

const ADAPTERS: [&str; 6] = ["plain", "rslora", "patterns", "regex", "layers", "all_linear"];

/// Prompt and chosen completion of the first pair.
fn sequence() -> Vec<u32> {
    let pair = json("peft/expected.json")["pairs"][0].clone();
    [ids(&pair["prompt"]), ids(&pair["chosen"])].concat()
}

/// An adapter directory with one field of `adapter_config.json` changed.
fn with_field(adapter: &str, field: &str, value: Value) -> tempfile::TempDir {
    let dir = copy(&format!("peft/{adapter}"));
    let file = dir.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config[field] = value;
    std::fs::write(&file, config.to_string()).unwrap();
    dir
}

fn read_config(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("adapter_config.json")).unwrap()).unwrap()
}

#[track_caller]
fn check_refused(dir: &Path, model: &CausalLm, words: &[&str]) {
    assert_says(Adapter::load(dir, model), words);
}

#[test]
fn logits_with_each_adapter_equal_those_of_peft() {
    let model = tiny("llama_tied");
    let expected = tensors(&path("peft/logits.safetensors"));
    let base = logits(&model, &sequence(), None);
    for name in ADAPTERS {
        let found = logits(&model, &sequence(), Some(&adapter(name, &model)));
        assert_close(name, &found, &expected[name], 1e-4);
        assert!(difference(&found, &base) > 0.1, "{name} changes the model");
    }
}

#[test]
fn logprobs_of_completions_equal_those_of_peft() {
    let model = tiny("llama_tied");
    let expected = json("peft/expected.json");
    for name in ADAPTERS.into_iter().chain(["reference"]) {
        let adapter = (name != "reference").then(|| adapter(name, &model));
        for (pair, logps) in expected["pairs"]
            .as_array()
            .unwrap()
            .iter()
            .zip(expected["logps"][name].as_array().unwrap())
        {
            for side in ["chosen", "rejected"] {
                let sequence =
                    ingrain_lm::TokenSequence::from_parts(&ids(&pair["prompt"]), &ids(&pair[side]));
                let batch = ingrain_lm::TokenBatch::new(&[&sequence], model.device());
                let found =
                    crate::fixture::values(model.completion_logprobs(&batch, adapter.as_ref()));
                assert_close(name, &found, &floats(&logps[side]), 1e-4);
            }
        }
    }
}

#[test]
fn folding_equals_the_side_path() {
    let model = tiny("llama_tied");
    for name in ADAPTERS {
        let adapter = adapter(name, &model);
        let side = logits(&model, &sequence(), Some(&adapter));
        let folded = logits(&model.clone().fold(&adapter), &sequence(), None);
        assert_close(name, &folded, &side, 1e-4);
    }
}

#[test]
fn saving_and_loading_gives_the_same_tensors_and_logits() {
    let model = tiny("llama_tied");
    for name in ADAPTERS {
        let original = adapter(name, &model);
        let dir = tempfile::tempdir().unwrap();
        original.save(dir.path(), "a/base").unwrap();
        let file = |dir: &Path| tensors(&dir.join("adapter_model.safetensors"));
        assert_eq!(file(dir.path()), file(&path("peft").join(name)), "{name}: tensors");
        let again = Adapter::load(dir.path(), &model).unwrap();
        let logits = |adapter: &Adapter| logits(&model, &sequence(), Some(adapter));
        assert_eq!(logits(&again), logits(&original), "{name}: logits");
    }
}

#[test]
fn another_strength_survives_saving() {
    let model = tiny("llama_tied");
    for name in ["plain", "patterns"] {
        let half = adapter(name, &model).scaled(0.5);
        let dir = tempfile::tempdir().unwrap();
        half.save(dir.path(), "a/base").unwrap();
        let again = Adapter::load(dir.path(), &model).unwrap();
        let logits = |adapter: &Adapter| logits(&model, &sequence(), Some(adapter));
        assert_eq!(logits(&again), logits(&half), "{name}");
    }
}

#[test]
fn strength_scales_the_update_between_base_and_adapter() {
    let model = tiny("llama_tied");
    let full = adapter("plain", &model);
    let logits = |adapter: &Adapter| logits(&model, &sequence(), Some(adapter));
    let base = crate::fixture::logits(&model, &sequence(), None);
    assert_close("strength 0", &logits(&full.scaled(0.0)), &base, 1e-5);
    assert_eq!(logits(&full.scaled(1.0)), logits(&full));
    // Twice the scale is the same as twice the B.
    let doubled = full.map_parameters(&mut |name, tensor| {
        if name.contains("lora_B") { tensor * 2.0 } else { tensor }
    });
    assert_close("strength 2", &logits(&full.scaled(2.0)), &logits(&doubled), 1e-4);
    assert!(full.scaled(0.0).is_identity());
    assert!(!full.is_identity());
}

#[test]
fn the_written_configuration_has_every_key_that_peft_and_vllm_read() {
    let model = tiny("llama_tied");
    let config = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
    let adapter = Adapter::init(&model, &config, 3).unwrap();
    let trained = adapter.map_parameters(&mut |_, tensor| tensor + 0.1);
    let dir = tempfile::tempdir().unwrap();
    trained.save(dir.path(), "org/base").unwrap();
    assert_eq!(
        read_config(dir.path()),
        json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/base",
            "revision": null, "inference_mode": true, "r": 4, "lora_alpha": 8, "lora_dropout": 0.0,
            "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            "bias": "none", "fan_in_fan_out": false, "init_lora_weights": true,
            "use_rslora": false, "use_dora": false, "modules_to_save": null,
            "layers_to_transform": null, "layers_pattern": null, "rank_pattern": {},
            "alpha_pattern": {}, "auto_mapping": null,
        })
    );
    let mut names: Vec<String> =
        tensors(&dir.path().join("adapter_model.safetensors")).into_keys().collect();
    assert_eq!(names.len(), 2 * 7 * 2);
    names.sort();
    assert_eq!(names[0], "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight");
    let leftovers = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(leftovers, 2, "configuration and weights, no temporary file");
}

// vLLM reads `r` and `lora_alpha` only, so a uniform strength must not hide in `alpha_pattern`.
#[test]
fn one_scale_for_all_modules_is_written_as_lora_alpha() {
    let model = tiny("llama_tied");
    for (adapter, alpha) in [
        (adapter("plain", &model).scaled(0.5), 8.0),
        (adapter("rslora", &model), 16.0 * 8f64.sqrt()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        adapter.save(dir.path(), "a/base").unwrap();
        let config = read_config(dir.path());
        assert!((config["lora_alpha"].as_f64().unwrap() - alpha).abs() < 1e-9);
        assert_eq!(config["alpha_pattern"], json!({}));
        assert_eq!(config["use_rslora"], json!(false));
    }
}

#[test]
fn modules_of_some_layers_only_are_written_by_their_whole_path() {
    let model = tiny("llama_tied");
    let dir = tempfile::tempdir().unwrap();
    adapter("regex", &model).save(dir.path(), "a/base").unwrap();
    let expected = ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"];
    let expected = expected.map(|m| format!("model.layers.1.{m}"));
    assert_eq!(read_config(dir.path())["target_modules"], json!(expected));
}

#[test]
fn ranks_that_differ_are_written_as_a_pattern() {
    let model = tiny("llama_tied");
    let dir = tempfile::tempdir().unwrap();
    adapter("patterns", &model).save(dir.path(), "a/base").unwrap();
    let config = read_config(dir.path());
    assert_eq!(config["r"], json!(8));
    assert_eq!(
        config["rank_pattern"],
        json!({
            "model.layers.0.self_attn.q_proj": 4, "model.layers.1.self_attn.q_proj": 4,
            "model.layers.0.self_attn.v_proj": 6, "model.layers.1.mlp.down_proj": 2,
        })
    );
    // 16 is the rule; the scales of v_proj, 3 / 6 and 3 / 8, and of q_proj in layer 0, 20 / 4.
    assert_eq!(config["lora_alpha"], json!(16));
    assert_eq!(
        config["alpha_pattern"],
        json!({
            "model.layers.0.self_attn.q_proj": 20, "model.layers.0.self_attn.v_proj": 3,
            "model.layers.1.self_attn.v_proj": 3,
        })
    );
}

#[test]
fn the_first_matching_pattern_in_the_file_wins() {
    let model = tiny("llama_tied");
    // Sorted by name, "down_proj" would come first; in the file it is second.
    let dir = copy("peft/plain");
    let file = dir.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let patterns = r#""alpha_pattern": {"mlp.*": 16, "down_proj": 99}"#;
    std::fs::write(&file, text.replace(r#""alpha_pattern": {}"#, patterns)).unwrap();
    let found = Adapter::load(dir.path(), &model).unwrap();
    let logits = |adapter: &Adapter| logits(&model, &sequence(), Some(adapter));
    assert_eq!(logits(&found), logits(&adapter("plain", &model)));
}

#[test]
fn an_adapter_that_changes_nothing_is_refused() {
    let model = tiny("llama_tied");
    let adapter = Adapter::init(&model, &LoraConfig::default(), 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("persona");
    assert_says(adapter.save(&target, "a/base"), &["persona", "changes nothing"]);
    assert!(!target.exists(), "nothing is left behind");
    adapter.save_unchecked(&target, "a/base").unwrap();
    assert!(Adapter::load(&target, &model).unwrap().is_identity());
}

#[test]
fn what_is_not_computed_here_is_refused_by_its_field() {
    let model = tiny("llama_tied");
    for (field, value) in [
        ("use_dora", json!(true)),
        ("fan_in_fan_out", json!(true)),
        ("lora_bias", json!(true)),
        ("use_qalora", json!(true)),
        ("bias", json!("lora_only")),
        ("modules_to_save", json!(["lm_head"])),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
        ("trainable_token_indices", json!({"embed_tokens": [1, 2]})),
        ("layer_replication", json!([[0, 1], [0, 2]])),
        ("alora_invocation_tokens", json!([1, 2])),
        ("monteclora_config", json!({"num_samples": 4})),
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("loftq")),
        ("peft_type", json!("LOHA")),
        ("peft_type", Value::Null),
        ("r", json!(0)),
        ("r", json!(-8)),
        ("r", json!("8")),
        ("lora_alpha", json!("16")),
        ("rank_pattern", json!({"q_proj": "4"})),
        ("alpha_pattern", json!([3])),
        ("alpha_pattern", json!({"(q_proj": 3})),
        ("alpha_pattern", json!({"(?=q)q_proj": 3})),
    ] {
        let dir = with_field("plain", field, value);
        check_refused(dir.path(), &model, &["adapter_config.json", field]);
    }
}

#[test]
fn initialisations_that_leave_the_base_alone_are_read() {
    let model = tiny("llama_tied");
    let expected = logits(&model, &sequence(), Some(&adapter("plain", &model)));
    for value in [json!("gaussian"), json!("orthogonal"), json!("eva"), json!(false), Value::Null] {
        let dir = with_field("plain", "init_lora_weights", value);
        let found = Adapter::load(dir.path(), &model).unwrap();
        assert_eq!(logits(&model, &sequence(), Some(&found)), expected);
    }
}

#[test]
fn a_rank_that_contradicts_the_tensors_is_refused() {
    let model = tiny("llama_tied");
    for (field, value) in [("r", json!(4)), ("rank_pattern", json!({"v_proj": 2}))] {
        let dir = with_field("plain", field, value);
        check_refused(
            dir.path(),
            &model,
            &["adapter_config.json", "model.layers.0.", "its tensors have 8"],
        );
    }
}

/// Writes the adapter `plain` with its tensors changed.
fn rewrite(change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>)) -> tempfile::TempDir {
    use safetensors::tensor::{Dtype, TensorView};
    let dir = copy("peft/plain");
    let file = dir.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let views = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = tensors(&file);
    let mut all: Vec<(String, Vec<usize>, Vec<f32>)> = views
        .tensors()
        .into_iter()
        .map(|(name, view)| (name.clone(), view.shape().to_vec(), values[&name].clone()))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    change(&mut all);
    let blobs: Vec<Vec<u8>> =
        all.iter().map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = all.iter().zip(&blobs).map(|((name, shape, _), blob)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), blob).unwrap())
    });
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    dir
}

#[test]
fn damaged_or_foreign_tensors_are_refused_by_name() {
    let model = tiny("llama_tied");
    let file = "adapter_model.safetensors";
    let first = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight";
    let second = first.replace("lora_A", "lora_B");
    let dir = rewrite(|all| drop(all.remove(0)));
    check_refused(dir.path(), &model, &[file, first, "missing"]);
    let dir = rewrite(|all| drop(all.remove(1)));
    check_refused(dir.path(), &model, &[file, &second, "missing"]);
    let dir = rewrite(|all| all[0].2[3] = f32::NAN);
    check_refused(dir.path(), &model, &[file, first, "value 3", "NaN"]);
    let dir = rewrite(|all| all[0].1.reverse());
    check_refused(dir.path(), &model, &[file, first, "[96, 8]", "[r, 96]"]);
    let dir = rewrite(|all| all[0].1 = vec![8, 12, 8]);
    check_refused(dir.path(), &model, &[file, first, "two axes"]);
    for extra in [
        "base_model.model.lm_head.lora_A.weight",
        "base_model.model.model.layers.2.mlp.down_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.down_proj.lora_magnitude_vector.weight",
    ] {
        let dir = rewrite(|all| all.push((extra.to_owned(), vec![1], vec![1.0])));
        check_refused(dir.path(), &model, &[file, extra, "no place"]);
    }
    let dir = rewrite(Vec::clear);
    check_refused(dir.path(), &model, &[file, "holds no LoRA weights"]);
}

#[test]
fn an_adapter_of_another_model_is_refused_by_its_shapes() {
    let wider = tiny("llama_untied");
    check_refused(&path("peft/plain"), &wider, &["adapter_model.safetensors", "k_proj", "[64, r]"]);
}

#[test]
fn missing_files_are_named() {
    let model = tiny("llama_tied");
    let dir = tempfile::tempdir().unwrap();
    check_refused(dir.path(), &model, &["adapter_config.json", "No such file"]);
    std::fs::copy(path("peft/plain/adapter_config.json"), dir.path().join("adapter_config.json"))
        .unwrap();
    check_refused(dir.path(), &model, &["adapter_model.safetensors", "No such file"]);
    std::fs::write(dir.path().join("adapter_config.json"), "{").unwrap();
    check_refused(dir.path(), &model, &["adapter_config.json", "JSON"]);
}

#[test]
fn the_same_seed_makes_the_same_adapter() {
    let model = tiny("llama_tied");
    let config = LoraConfig { rank: 3, ..LoraConfig::default() };
    let make = |seed| -> Result<Vec<Vec<f32>>, LmError> {
        let adapter = Adapter::init(&model, &config, seed)?;
        Ok(adapter.parameters().into_iter().map(|(_, t)| crate::fixture::values(t)).collect())
    };
    assert_eq!(make(5).unwrap(), make(5).unwrap());
    assert_ne!(make(5).unwrap(), make(6).unwrap());
    // Kaiming-uniform as PEFT draws it: within 1 / sqrt(inputs), and reaching out to it.
    let a = &make(5).unwrap()[0];
    let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!((0.11..=0.125).contains(&largest), "{largest}");
}

#[test]
fn adapters_of_a_multimodal_model_keep_its_names_and_leave_its_vision_out() {
    let model = tiny("gemma3_multimodal");
    let read = Adapter::load(&path("peft/families/gemma3_multimodal"), &model).unwrap();
    assert_eq!(read.skipped_tensors().len(), 6);
    assert!(read.skipped_tensors().iter().all(|name| name.contains("vision_tower")));
    let dir = tempfile::tempdir().unwrap();
    read.save(dir.path(), "a/base").unwrap();
    let names = tensors(&dir.path().join("adapter_model.safetensors")).into_keys();
    let root = "base_model.model.model.language_model.layers.";
    assert!(names.into_iter().all(|name| name.starts_with(root)));
    let targets = read_config(dir.path())["target_modules"].clone();
    let targets: Vec<&str> = targets.as_array().unwrap().iter().flat_map(Value::as_str).collect();
    assert_eq!(targets.len(), 3 * 7, "PEFT would find q_proj in the vision tower too");
    assert!(targets.iter().all(|name| name.starts_with("model.language_model.layers.")));
    let again = Adapter::load(dir.path(), &model).unwrap();
    let run = |adapter: &Adapter| logits(&model, &[5, 9, 200], Some(adapter));
    assert_eq!(run(&again), run(&read));
}

// A GGUF file or an export of a multimodal checkpoint is its language model alone; adapters for the
// whole are published, and fit it.
#[test]
fn an_adapter_of_a_multimodal_model_fits_its_language_model_alone() {
    let whole = tiny("gemma3_multimodal");
    let published = path("peft/families/gemma3_multimodal");
    let dir = copy("tiny_models/gemma3_multimodal");
    let config = dir.path().join("config.json");
    let fields: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    std::fs::write(&config, fields["text_config"].to_string()).unwrap();
    let file = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let views = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let text: Vec<_> = views
        .tensors()
        .into_iter()
        .filter_map(|(name, view)| Some((name.strip_prefix("language_model.")?.to_owned(), view)))
        .collect();
    std::fs::write(&file, safetensors::serialize(text, None).unwrap()).unwrap();
    let alone = crate::fixture::try_load(dir.path()).unwrap();
    assert!(!alone.config().nested);
    let (one, other) =
        (Adapter::load(&published, &alone).unwrap(), Adapter::load(&published, &whole).unwrap());
    assert_eq!(one.skipped_tensors(), other.skipped_tensors());
    assert_eq!(one.skipped_tensors().len(), 6);
    let ids = [5, 9, 200, 17];
    assert_eq!(logits(&alone, &ids, Some(&one)), logits(&whole, &ids, Some(&other)));
    // In another family there is no part that reads images.
    let dir = rewrite(|all| {
        let name = "base_model.model.vision_tower.encoder.q_proj.lora_A.weight";
        all.push((name.to_owned(), vec![1, 1], vec![1.0]));
    });
    check_refused(dir.path(), &tiny("llama_tied"), &["vision_tower", "no place"]);
}
