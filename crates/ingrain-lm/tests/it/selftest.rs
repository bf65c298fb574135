//! `selftest.json`: written, read back, passed, and failed.

use ingrain_lm::{Adapter, LocalModel, LoraConfig, ModelSource, SelfTest};
use ingrain_run::Silent;
use serde_json::Value;

use crate::fixture::{adapter, assert_close, assert_says, floats, ids, json, path};

fn model(name: &str) -> LocalModel {
    let source: ModelSource = path("tiny_models").join(name).to_str().unwrap().parse().unwrap();
    LocalModel::load(&source.resolve(&Silent).unwrap(), &crate::fixture::device()).unwrap()
}

type Pair = (Vec<u32>, Vec<u32>);

/// Prompt and completion of every pair of `peft/expected.json`, with PEFT's summed log-probabilities.
fn cases() -> (Vec<Pair>, Vec<[f64; 2]>) {
    let expected = json("peft/expected.json");
    let (mut pairs, mut sums) = (Vec::new(), Vec::new());
    for (index, pair) in expected["pairs"].as_array().unwrap().iter().enumerate() {
        for side in ["chosen", "rejected"] {
            pairs.push((ids(&pair["prompt"]), ids(&pair[side])));
            sums.push(["reference", "plain"].map(|name| {
                let logps = floats(&expected["logps"][name][index][side]);
                logps.iter().map(|&v| f64::from(v)).sum()
            }));
        }
    }
    (pairs, sums)
}

#[test]
fn recorded_sums_are_those_of_peft() {
    let model = model("llama_tied");
    let (pairs, sums) = cases();
    let test = SelfTest::record(&model, &adapter("plain", &model.model), &pairs).unwrap();
    assert_eq!(test.cases.len(), sums.len());
    for (case, sums) in test.cases.iter().zip(sums) {
        let found = [case.base_logprob as f32, case.adapter_logprob as f32];
        assert_close("sums", &found, &sums.map(|s| s as f32), 1e-3);
    }
    assert_eq!(test.base.identity, model.identity);
}

#[test]
fn a_file_written_here_reads_back_and_passes() {
    let model = model("llama_tied");
    let adapter = adapter("plain", &model.model);
    let test = SelfTest::record(&model, &adapter, &cases().0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("selftest.json");
    test.write(&file).unwrap();
    let again = SelfTest::read(&file).unwrap();
    assert_eq!(again.base, test.base);
    for (again, case) in again.cases.iter().zip(&test.cases) {
        assert_eq!(again.prompt_token_ids, case.prompt_token_ids);
        assert_eq!(again.completion_token_ids, case.completion_token_ids);
    }
    // Reading a number back may cost its last binary digit.
    assert!(again.verify(&file, &model, &adapter).unwrap() < 1e-12);
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for key in ["source", "sha256", "dtype", "tolerance"] {
        assert!(!json["base"][key].is_null(), "{key}");
    }
    for key in ["prompt_token_ids", "completion_token_ids", "base_logprob", "adapter_logprob"] {
        assert!(!json["cases"][0][key].is_null(), "{key}");
    }
}

#[test]
fn an_adapter_saved_and_loaded_passes_the_test_of_the_one_in_memory() {
    let model = model("llama_tied");
    let original = adapter("patterns", &model.model);
    let test = SelfTest::record(&model, &original, &cases().0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    original.save(dir.path(), "a/base").unwrap();
    let loaded = Adapter::load(dir.path(), &model.model).unwrap();
    assert_eq!(test.verify(dir.path(), &model, &loaded).unwrap(), 0.0);
}

#[test]
fn another_adapter_or_another_base_fails() {
    let here = model("llama_tied");
    let plain = adapter("plain", &here.model);
    let test = SelfTest::record(&here, &plain, &cases().0).unwrap();
    let file = path("selftest.json");
    let words = ["selftest.json", "nats a token", "llama_tied", &here.identity.sha256];
    assert_says(test.verify(&file, &here, &plain.scaled(0.9)), &words);
    assert_says(test.verify(&file, &here, &adapter("rslora", &here.model)), &words);
    // A base whose weights are a little off: the 4-bit version of the same model.
    let source: ModelSource = path("gguf/llama_tied.q4_0.gguf").to_str().unwrap().parse().unwrap();
    let other =
        LocalModel::load(&source.resolve(&Silent).unwrap(), &crate::fixture::device()).unwrap();
    assert_says(test.verify(&file, &other, &plain), &words);
}

#[test]
fn figures_that_are_no_numbers_or_prove_nothing_fail() {
    let model = model("llama_tied");
    let plain = adapter("plain", &model.model);
    let file = path("selftest.json");
    let mut test = SelfTest::record(&model, &plain, &cases().0).unwrap();
    test.cases[1].adapter_logprob = f64::NAN;
    assert_says(test.verify(&file, &model, &plain), &["selftest.json", "nats a token"]);
    test.cases.clear();
    assert_says(test.verify(&file, &model, &plain), &["selftest.json", "no cases"]);
}

#[test]
fn an_adapter_without_effect_cannot_be_recorded() {
    let model = model("llama_tied");
    let fresh = Adapter::init(&model.model, &LoraConfig::default(), 1).unwrap();
    assert_says(SelfTest::record(&model, &fresh, &cases().0), &["changes none"]);
    let plain = adapter("plain", &model.model);
    assert_says(SelfTest::record(&model, &plain, &[]), &["changes none"]);
}

#[test]
fn tokens_that_the_model_does_not_have_are_an_error_not_a_crash() {
    let model = model("llama_tied");
    let plain = adapter("plain", &model.model);
    let mut test = SelfTest::record(&model, &plain, &cases().0).unwrap();
    test.cases[0].completion_token_ids[0] = 320;
    assert_says(test.verify(&path("x"), &model, &plain), &["text 0", "token 320", "320"]);
}

#[test]
fn a_file_that_is_no_self_test_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("selftest.json");
    assert_says(SelfTest::read(&file), &["selftest.json", "No such file"]);
    std::fs::write(&file, "{\"cases\": []}").unwrap();
    assert_says(SelfTest::read(&file), &["selftest.json", "base"]);
}
