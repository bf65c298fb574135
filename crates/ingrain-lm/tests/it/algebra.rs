//! What can be computed with adapters and models: other ranks, other rules, distances, mixtures.

use std::collections::BTreeMap;

use ingrain_lm::{Adapter, CausalLm, LoraConfig, MergeMode, merge_exact};

use crate::fixture::{
    MODELS, adapter, assert_close, assert_says, copy, difference, logits, path, tensors, tiny,
    values,
};

const TOKENS: [u32; 8] = [5, 9, 200, 17, 3, 44, 180, 211];

/// The weights that an adapter adds, by module, as `values(B) x values(A)` with its scale.
fn update(model: &CausalLm, adapter: &Adapter) -> Vec<f32> {
    let folded = logits(&model.clone().fold(adapter), &TOKENS, None);
    let base = logits(model, &TOKENS, None);
    folded.iter().zip(base).map(|(a, b)| a - b).collect()
}

#[test]
fn an_adapter_compressed_to_the_rank_it_has_is_the_same_adapter() {
    let model = tiny("llama_tied");
    for name in ["plain", "rslora", "patterns", "regex"] {
        let original = adapter(name, &model);
        let compressed = original.compressed(8).unwrap();
        assert!(compressed.relative_error < 1e-6, "{name}: {}", compressed.relative_error);
        let found = logits(&model, &TOKENS, Some(&compressed.adapter));
        assert_close(name, &found, &logits(&model, &TOKENS, Some(&original)), 1e-4);
        assert_eq!(compressed.adapter.config().rank, 8);
    }
}

#[test]
fn a_merge_whose_ranks_repeat_themselves_compresses_without_loss() {
    let model = tiny("llama_tied");
    let plain = adapter("plain", &model);
    // Rank 16 on paper, 8 in truth; one share is negative.
    let merged = merge_exact(&[(&plain, 1.5), (&plain, -0.5)]).unwrap();
    assert_eq!(merged.config().rank, 16);
    let compressed = merged.compressed(8).unwrap();
    assert!(compressed.relative_error < 1e-5, "{}", compressed.relative_error);
    let found = logits(&model, &TOKENS, Some(&compressed.adapter));
    assert_close("merged", &found, &logits(&model, &TOKENS, Some(&plain)), 1e-4);
}

#[test]
fn the_reported_error_is_the_distance_and_falls_with_the_rank() {
    let model = tiny("llama_tied");
    let plain = adapter("plain", &model);
    let mut last = 1.0;
    for rank in [1, 2, 4, 7] {
        let compressed = plain.compressed(rank).unwrap();
        let lost = plain.difference(&compressed.adapter).unwrap().norm() / plain.norm();
        assert!((lost - compressed.relative_error).abs() < 1e-4, "rank {rank}: {lost}");
        assert!(compressed.relative_error < last, "rank {rank}");
        assert!(compressed.worst_module_error >= compressed.relative_error);
        last = compressed.relative_error;
    }
    assert!(last > 0.0);
    assert_says(plain.compressed(0), &["rank 0"]);
}

#[test]
fn a_compressed_adapter_is_one_that_can_be_saved_and_loaded() {
    let model = tiny("llama_tied");
    let compressed = adapter("patterns", &model).compressed(3).unwrap().adapter;
    let dir = tempfile::tempdir().unwrap();
    compressed.save(dir.path(), "a/base").unwrap();
    let again = Adapter::load(dir.path(), &model).unwrap();
    let run = |adapter: &Adapter| logits(&model, &TOKENS, Some(adapter));
    assert_eq!(run(&again), run(&compressed));
}

#[test]
fn cosine_and_norm_are_those_of_the_updates_written_out() {
    let model = tiny("llama_tied");
    let (plain, rslora) = (adapter("plain", &model), adapter("rslora", &model));
    assert!((plain.cosine(&plain).unwrap() - 1.0).abs() < 1e-6);
    assert!((plain.cosine(&plain.scaled(-0.3)).unwrap() + 1.0).abs() < 1e-6);
    assert!((plain.scaled(0.5).norm() / plain.norm() - 0.5).abs() < 1e-9);
    // The law of cosines holds for the exact difference.
    let (a, b) = (plain.norm(), rslora.norm());
    let c = plain.difference(&rslora).unwrap().norm();
    let expected = (a * a + b * b - c * c) / (2.0 * a * b);
    assert!((plain.cosine(&rslora).unwrap() - expected).abs() < 1e-4);
    assert!(plain.cosine(&rslora).unwrap().abs() < 0.3, "drawn independently");
    let norms = plain.norms();
    assert_eq!(norms.len(), 2 * 7);
    assert!(norms.iter().all(|module| module.norm > 0.0 && module.rank == 8));
    assert!(plain.cosine(&adapter("layers", &model)).is_ok(), "modules need not be the same");
}

#[test]
fn what_cannot_be_compared_says_why() {
    let model = tiny("llama_tied");
    let plain = adapter("plain", &model);
    let fresh = Adapter::init(&model, &LoraConfig::default(), 1).unwrap();
    assert_says(plain.cosine(&fresh), &["changes nothing"]);
    let other = Adapter::init(&tiny("llama_untied"), &LoraConfig::default(), 1).unwrap();
    assert_says(plain.cosine(&other), &["different models"]);
}

#[test]
fn the_difference_leads_from_one_adapter_to_the_other() {
    let model = tiny("llama_tied");
    let (plain, rslora) = (adapter("plain", &model), adapter("rslora", &model));
    let step = plain.difference(&rslora).unwrap();
    let there = merge_exact(&[(&rslora, 1.0), (&step, 1.0)]).unwrap();
    let found = logits(&model, &TOKENS, Some(&there));
    assert_close("there", &found, &logits(&model, &TOKENS, Some(&plain)), 1e-4);
}

#[test]
fn three_personas_compose_by_their_weights() {
    let model = tiny("llama_tied");
    let parts = [("plain", 0.5), ("rslora", -0.25), ("layers", 1.25)];
    let adapters = parts.map(|(name, weight)| (adapter(name, &model), weight));
    let composed: Vec<(&Adapter, f64)> = adapters.iter().map(|(a, w)| (a, *w)).collect();
    let composed = MergeMode::Exact.merge(&composed).unwrap();
    let summed = adapters
        .iter()
        .fold(model.clone(), |model, (adapter, weight)| model.fold(&adapter.scaled(*weight)));
    let found = logits(&model, &TOKENS, Some(&composed));
    assert_close("composed", &found, &logits(&summed, &TOKENS, None), 1e-4);
}

#[test]
fn peft_linear_is_the_merge_that_peft_makes_and_not_the_exact_one() {
    let model = tiny("llama_tied");
    let parts = [(&adapter("plain", &model), 0.75), (&adapter("rslora", &model), 0.25)];
    let merged = MergeMode::PeftLinear.merge(&parts).unwrap();
    assert_eq!((merged.config().rank, merged.config().alpha), (8, 8.0));
    let expected = tensors(&path("peft/linear.safetensors"));
    let found: BTreeMap<String, Vec<f32>> =
        merged.parameters().into_iter().map(|(name, tensor)| (name, values(tensor))).collect();
    assert_eq!(found.len(), expected.len());
    for (name, values) in &found {
        assert_close(name, values, &expected[name], 1e-6);
    }
    // The cross terms that RECIPE's defect 6 is about.
    let exact = MergeMode::Exact.merge(&parts).unwrap();
    let cosine = merged.cosine(&exact).unwrap();
    assert!((0.3..0.95).contains(&cosine), "{cosine}");
    assert!(difference(&update(&model, &merged), &update(&model, &exact)) > 0.1);
}

#[test]
fn peft_linear_refuses_ranks_that_differ() {
    let model = tiny("llama_tied");
    let parts = [(&adapter("plain", &model), 1.0), (&adapter("layers", &model), 1.0)];
    assert_says(MergeMode::PeftLinear.merge(&parts), &["peft_linear", "one rank", "exactly"]);
    assert_says(MergeMode::PeftLinear.merge(&[]), &["nothing to merge"]);
}

#[test]
fn merge_modes_go_by_name() {
    let read = |text: &str| serde_json::from_str::<MergeMode>(text);
    assert_eq!(read("\"exact\"").unwrap(), MergeMode::Exact);
    assert_eq!(read("\"peft_linear\"").unwrap(), MergeMode::PeftLinear);
    assert!(read("\"ties\"").is_err());
}

#[test]
fn a_model_between_two_others_has_weights_between_theirs() {
    for name in MODELS {
        let base = tiny(name);
        let adapter = Adapter::init(&base, &LoraConfig { rank: 2, ..LoraConfig::default() }, 1);
        let adapter = adapter.unwrap().map_parameters(&mut |_, tensor| tensor + 0.05);
        let other = base.clone().fold(&adapter);
        let run = |model: &CausalLm| logits(model, &TOKENS, None);
        assert_close(name, &run(&base.interpolated(&other, 0.0).unwrap()), &run(&base), 1e-5);
        assert_close(name, &run(&base.interpolated(&other, 1.0).unwrap()), &run(&other), 1e-4);
        let half = run(&base.clone().fold(&adapter.scaled(0.25)));
        assert_close(name, &run(&base.interpolated(&other, 0.25).unwrap()), &half, 1e-4);
    }
}

#[test]
fn models_of_other_shape_have_nothing_between_them() {
    let (one, other) = (tiny("llama_tied"), tiny("llama_untied"));
    assert_says(one.interpolated(&other, 0.5), &["differ in shape"]);
    assert_says(one.interpolated(&one, f64::NAN), &["NaN"]);
}

#[test]
fn an_adapter_is_proven_when_it_is_taken_into_use() {
    use ingrain_lm::{LocalModel, ModelSource, SelfTest};
    let source: ModelSource = path("tiny_models/llama_tied").to_str().unwrap().parse().unwrap();
    let files = source.resolve(&ingrain_run::Silent).unwrap();
    let model = LocalModel::load(&files, &crate::fixture::device()).unwrap();
    let dir = copy("peft/plain");
    assert!(model.adapted(dir.path()).unwrap().adapter.is_some(), "without a self-test");
    let plain = adapter("plain", &model.model);
    let test = SelfTest::record(&model, &plain, &[(vec![5, 9], vec![200, 17, 3])]).unwrap();
    test.write(&dir.path().join("selftest.json")).unwrap();
    model.adapted(dir.path()).unwrap();

    let mut other = test.clone();
    other.cases[0].adapter_logprob += 1.0;
    other.write(&dir.path().join("selftest.json")).unwrap();
    assert_says(model.adapted(dir.path()), &["selftest.json", "nats a token", "llama_tied"]);

    let empty = tempfile::tempdir().unwrap();
    let fresh = Adapter::init(&model.model, &LoraConfig::default(), 1).unwrap();
    fresh.save_unchecked(empty.path(), "a/base").unwrap();
    assert_says(model.adapted(empty.path()), &["changes nothing"]);
}
