//! Losses made of completion log-probabilities and their gradients, against PEFT on PyTorch.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Tensor, activation};
use ingrain_lm::{Adapter, CausalLm, TokenBatch, TokenSequence};

use crate::fixture::{
    MODELS, adapter, assert_close, floats, ids, json, path, tensors, tiny, values,
};

const BETA: f64 = 0.1;

/// The pairs of `peft/expected.json`: chosen and rejected of the first, then of the second.
fn sequences() -> Vec<TokenSequence> {
    let pairs = json("peft/expected.json")["pairs"].clone();
    let sides = |pair: &serde_json::Value| {
        ["chosen", "rejected"]
            .map(|side| TokenSequence::from_parts(&ids(&pair["prompt"]), &ids(&pair[side])))
    };
    pairs.as_array().unwrap().iter().flat_map(sides).collect()
}

/// Log-probabilities of each sequence.
fn logps(model: &CausalLm, adapter: Option<&Adapter>) -> Vec<Tensor<1>> {
    let sequences = sequences();
    let batch = TokenBatch::new(&sequences.iter().collect::<Vec<_>>(), &crate::fixture::device());
    let all = model.completion_logprobs(&batch, adapter);
    let mut start = 0;
    let cut = |&count: &usize| {
        start += count;
        all.clone().narrow(0, start - count, count)
    };
    batch.counts.iter().map(cut).collect()
}

/// A loss of `fixtures/make_peft.py`, which defines them all.
fn loss(name: &str, policy: &[Tensor<1>], reference: &[Tensor<1>]) -> Tensor<1> {
    let ratio = |i: usize| policy[i].clone() - reference[i].clone();
    let mean = |terms: Vec<Tensor<1>>| Tensor::cat(terms, 0).mean();
    match name {
        "nll" => mean(vec![policy[0].clone().mean(), policy[2].clone().mean()]).neg(),
        "sft" => mean(vec![policy[0].clone(), policy[2].clone()]).neg(),
        "dpo" => mean(
            [(0, 1), (2, 3)]
                .map(|(c, r)| activation::log_sigmoid((ratio(c).sum() - ratio(r).sum()) * BETA))
                .to_vec(),
        )
        .neg(),
        "squared_log_ratio" => mean((0..4).map(|i| ratio(i).powi_scalar(2).mean()).collect()),
        "composite" => {
            let part = |name| loss(name, policy, reference);
            part("dpo") + part("nll") * 0.1 + part("squared_log_ratio") * 0.001
        }
        _ => panic!("unknown loss {name}"),
    }
}

/// Every gradient, by the name of its parameter.
fn gradients(adapter: &Adapter, loss: Tensor<1>) -> BTreeMap<String, Vec<f32>> {
    let gradients = loss.backward();
    let of = |(name, parameter): (String, Tensor<2>)| {
        (name, values(parameter.grad(&gradients).unwrap()))
    };
    adapter.parameters().into_iter().map(of).collect()
}

/// Relative to the largest entry of each tensor.
#[track_caller]
fn check(what: &str, found: &BTreeMap<String, Vec<f32>>, file: &Path, prefix: &str) {
    let expected = tensors(file);
    let of_loss = expected.keys().filter(|k| k.starts_with(prefix)).count();
    assert_eq!(found.len(), of_loss, "{what}: as many gradients as PEFT has");
    for (name, gradient) in found {
        let expected = &expected[&format!("{prefix}{name}")];
        let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.0);
        assert_close(&format!("{what} {name}"), gradient, expected, 1e-4 * largest);
    }
}

#[test]
fn losses_and_gradients_equal_those_of_peft() {
    let model = tiny("llama_tied");
    let adapter = adapter("plain", &model).tracked();
    let expected = json("peft/expected.json")["losses"].clone();
    let file = path("peft/gradients.safetensors");
    for name in ["nll", "sft", "dpo", "squared_log_ratio", "composite"] {
        let reference = logps(&model, None);
        let value = loss(name, &logps(&model, Some(&adapter)), &reference);
        let scalar = values(value.clone().without_autodiff())[0];
        let wanted = expected[name].as_f64().unwrap() as f32;
        assert_close(name, &[scalar], &[wanted], 1e-5 * wanted.abs().max(1.0));
        check(name, &gradients(&adapter, value), &file, &format!("{name}."));
    }
}

#[test]
fn gradients_on_every_family_equal_those_of_peft() {
    for name in MODELS {
        let dir = path("peft/families").join(name);
        let model = tiny(name);
        let adapter = Adapter::load(&dir, &model).unwrap().tracked();
        let expected = json(&format!("peft/families/{name}/expected.json"));
        let sequence =
            TokenSequence::from_parts(&ids(&expected["prompt"]), &ids(&expected["chosen"]));
        let batch = TokenBatch::new(&[&sequence], &crate::fixture::device());
        let logps = model.completion_logprobs(&batch, Some(&adapter));
        let wanted = floats(&expected["logps"]);
        assert_close(name, &values(logps.clone().without_autodiff()), &wanted, 1e-4);
        let found = gradients(&adapter, logps.mean().neg());
        check(name, &found, &dir.join("gradients.safetensors"), "");
    }
}

/// The composite loss of the fixture's pairs and its gradients, chosen and rejected apart or joined.
fn composite(model: &CausalLm, joined: bool) -> (f32, BTreeMap<String, Vec<f32>>) {
    let adapter = adapter("plain", model).tracked();
    let sequences = sequences();
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| &sequences[i]);
    let batch = match joined {
        true => TokenBatch::of_pairs(&[[a, b], [c, d]], model.device()),
        false => TokenBatch::new(&[a, c, b, d], model.device()),
    };
    assert_eq!(batch.branches.len(), if joined { 2 } else { 0 });
    let sides = |adapter: Option<&Adapter>| {
        let all = model.completion_logprobs(&batch, adapter);
        let mut start = 0;
        let cut = batch.counts.iter().map(|&count| {
            start += count;
            all.clone().narrow(0, start - count, count)
        });
        let cut: Vec<Tensor<1>> = cut.collect();
        [0, 2, 1, 3].map(|i| cut[i].clone())
    };
    let value = loss("composite", &sides(Some(&adapter)), &sides(None));
    (values(value.clone().without_autodiff())[0], gradients(&adapter, value))
}

#[track_caller]
fn check_joined(model: &CausalLm, tolerance: f32) {
    let (found, found_gradients) = composite(model, true);
    let (expected, expected_gradients) = composite(model, false);
    assert_close("loss", &[found], &[expected], tolerance * expected.abs());
    assert_eq!(found_gradients.len(), expected_gradients.len());
    for (name, expected) in expected_gradients {
        let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(largest > 0.0);
        assert_close(&name, &found_gradients[&name], &expected, tolerance * largest);
    }
}

#[test]
fn prompts_that_are_computed_once_give_the_same_loss_and_gradients() {
    let model = tiny("llama_tied");
    check_joined(&model, 1e-5);
    check_joined(&model.clone().recomputing(true), 1e-5);
    // Where a sum in f32 is off in its last digit, its rounding to bf16 may be off in its last, 2^-9.
    if let Ok(model) = model.with_bf16_products() {
        check_joined(&model, 0.02);
    }
}

#[test]
fn the_frozen_weights_get_no_gradient_and_no_graph() {
    let model = tiny("llama_tied");
    let adapter = adapter("plain", &model);
    assert!(!model.head().is_autodiff());
    let untracked = logps(&model, Some(&adapter));
    assert!(untracked.iter().all(|t| !t.is_autodiff()), "scoring builds no graph");
    let tracked = logps(&model, Some(&adapter.tracked()));
    for (a, b) in untracked.into_iter().zip(tracked) {
        assert_close("tracked", &values(b.without_autodiff()), &values(a), 1e-5);
    }
    assert!(!model.head().is_autodiff());
}

#[test]
fn a_fresh_adapter_changes_nothing_but_has_gradients_for_every_b() {
    let model = tiny("llama_tied");
    let adapter = Adapter::init(&model, &ingrain_lm::LoraConfig::default(), 7).unwrap();
    assert!(adapter.is_identity());
    let tracked = adapter.tracked();
    let policy = logps(&model, Some(&tracked));
    for (with, without) in policy.iter().zip(logps(&model, None)) {
        let with = values(with.clone().without_autodiff());
        assert_close("identity", &with, &values(without), 1e-5);
    }
    for (name, gradient) in gradients(&tracked, loss("nll", &policy, &[])) {
        let largest = gradient.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert_eq!(largest > 0.0, name.contains("lora_B"), "{name}: {largest}");
    }
}
