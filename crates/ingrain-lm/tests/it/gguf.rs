//! GGUF files of the tiny Llama models, against transformers on the same dequantised weights.

use ingrain_lm::{CausalLm, RopeScaling};

use crate::fixture::{assert_close, difference, ids, json, logits, path, tensors, tiny, try_load};

fn load(name: &str) -> CausalLm {
    try_load(&path("gguf").join(format!("{name}.gguf"))).unwrap()
}

fn sequence() -> Vec<u32> {
    ids(&json("gguf/expected.json")["sequence"])
}

#[track_caller]
fn check(name: &str) {
    let expected = &tensors(&path("gguf/expected.safetensors"))[name];
    assert_close(name, &logits(&load(name), &sequence(), None), expected, 1e-4);
}

#[test]
fn logits_of_every_block_type_equal_those_of_transformers() {
    for block in ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"] {
        check(&format!("llama_tied.{block}"));
    }
}

#[test]
fn a_file_with_a_head_of_its_own_equals_transformers() {
    check("llama_untied.q8_0");
    assert!(!load("llama_untied.q8_0").config().tie_embeddings);
}

#[test]
fn rope_freqs_are_the_scaling_that_transformers_reads_from_the_configuration() {
    check("llama3_scaled.q8_0");
    let scaled = load("llama3_scaled.q8_0");
    assert!(matches!(scaled.config().rope_scaling, Some(RopeScaling::Factors(_))));
}

// The f32 file holds the very weights of the HF directory, with the rows of q and k interleaved for
// llama.cpp. Undone, nothing is left of it: not only the logits agree, but the rotated halves too,
// which an adapter for the HF model depends on.
#[test]
fn query_and_key_rows_are_put_back_in_the_order_of_hf() {
    let (gguf, hf) = (load("llama_tied.f32"), tiny("llama_tied"));
    assert_eq!(logits(&gguf, &sequence(), None), logits(&hf, &sequence(), None));
    let adapter = crate::fixture::adapter("plain", &hf);
    let (gguf, hf) =
        (logits(&gguf, &sequence(), Some(&adapter)), logits(&hf, &sequence(), Some(&adapter)));
    assert_eq!(gguf, hf);
}

#[test]
fn quantised_weights_are_near_the_original_but_not_equal() {
    let original = logits(&tiny("llama_tied"), &sequence(), None);
    let eight = difference(&logits(&load("llama_tied.q8_0"), &sequence(), None), &original);
    let four = difference(&logits(&load("llama_tied.q4_0"), &sequence(), None), &original);
    assert!(eight > 1e-4 && four > 2.0 * eight, "{eight} {four}");
}

#[test]
fn the_other_families_are_the_models_of_their_directories() {
    for name in ["qwen2", "qwen3", "gemma3_text"] {
        let (gguf, hf) = (load(&format!("{name}.f32")), tiny(name));
        let tokens: Vec<u32> = sequence().iter().map(|id| id % 256).collect();
        let expected = logits(&hf, &tokens, None);
        assert_close(name, &logits(&gguf, &tokens, None), &expected, 1e-4);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let (found, wanted) = (gguf.config(), hf.config());
        assert!(close(found.attention_scale, wanted.attention_scale), "{name}");
        assert_eq!((found.family, &found.layers), (wanted.family, &wanted.layers), "{name}");
    }
    // llama.cpp knows every fourth block of a SmolLM3 only: with three, all are rotated.
    let dir = crate::fixture::copy("tiny_models/smollm3");
    let config = dir.path().join("config.json");
    let mut fields: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    fields["no_rope_layers"] = serde_json::json!([1, 1, 1]);
    std::fs::write(&config, fields.to_string()).unwrap();
    let tokens: Vec<u32> = sequence().iter().map(|id| id % 256).collect();
    let found = logits(&load("smollm3.f32"), &tokens, None);
    let expected = logits(&try_load(dir.path()).unwrap(), &tokens, None);
    assert_close("smollm3", &found, &expected, 1e-4);
    assert!(difference(&found, &logits(&tiny("smollm3"), &tokens, None)) > 0.1);
}
