//! Exact merging: the sum of the updates, nothing else.

use ingrain_lm::{Adapter, CausalLm, LoraConfig, merge_exact};

use crate::fixture::{adapter, assert_close, assert_says, logits, tiny};

const TOKENS: [u32; 8] = [5, 9, 200, 17, 3, 44, 180, 311];

/// The merge of two adapters equals adding one update to the weights after the other.
#[track_caller]
fn check(model: &CausalLm, parts: [(&str, f64); 2]) -> Adapter {
    let [(first, _), (second, _)] = parts;
    let adapters = [adapter(first, model), adapter(second, model)];
    let merged = merge_exact(&[(&adapters[0], parts[0].1), (&adapters[1], parts[1].1)]).unwrap();
    let summed = adapters
        .iter()
        .zip(parts)
        .fold(model.clone(), |model, (adapter, (_, weight))| model.fold(&adapter.scaled(weight)));
    let expected = logits(&summed, &TOKENS, None);
    assert_close("side path", &logits(model, &TOKENS, Some(&merged)), &expected, 1e-4);
    assert_close("folded", &logits(&model.clone().fold(&merged), &TOKENS, None), &expected, 1e-4);
    merged
}

#[test]
fn a_merge_is_the_weighted_sum_of_both_updates() {
    let model = tiny("llama_tied");
    let merged = check(&model, [("plain", 1.0), ("rslora", 0.25)]);
    assert_eq!(merged.config().rank, 16);
    assert_eq!(merged.config().alpha, 16.0, "scale 1");
}

#[test]
fn adapters_of_different_reach_and_rank_merge_into_one_rank() {
    let model = tiny("llama_tied");
    let merged = check(&model, [("patterns", 1.0), ("layers", 0.25)]);
    let ranks: Vec<usize> = merged
        .parameters()
        .iter()
        .filter(|(name, _)| name.contains("lora_A"))
        .map(|(_, tensor)| tensor.dims()[0])
        .collect();
    assert!(ranks.iter().all(|&rank| rank == merged.config().rank), "{ranks:?}");
    // q_proj of layer 0 has rank 4 and 4, v_proj 6 and 4, v_proj of layer 1 rank 8 alone.
    assert_eq!(merged.config().rank, 10);
}

#[test]
fn a_merge_written_to_disk_is_the_merge_in_memory() {
    let model = tiny("llama_tied");
    for parts in [[("plain", 1.0), ("rslora", 0.25)], [("regex", 0.5), ("all_linear", -1.0)]] {
        let merged = check(&model, parts);
        let dir = tempfile::tempdir().unwrap();
        merged.save(dir.path(), "a/base").unwrap();
        let again = Adapter::load(dir.path(), &model).unwrap();
        let found = logits(&model, &TOKENS, Some(&again));
        assert_eq!(found, logits(&model, &TOKENS, Some(&merged)));
    }
}

#[test]
fn an_adapter_merged_with_its_opposite_changes_nothing() {
    let model = tiny("llama_tied");
    let plain = adapter("plain", &model);
    let nothing = merge_exact(&[(&plain, 1.0), (&plain, -1.0)]).unwrap();
    let found = logits(&model, &TOKENS, Some(&nothing));
    assert_close("cancelled", &found, &logits(&model, &TOKENS, None), 1e-4);
}

#[test]
fn order_does_not_matter_and_one_adapter_stays_itself() {
    let model = tiny("llama_tied");
    let (plain, layers) = (adapter("plain", &model), adapter("layers", &model));
    let run =
        |parts: &[(&Adapter, f64)]| logits(&model, &TOKENS, Some(&merge_exact(parts).unwrap()));
    let (one, other) =
        (run(&[(&plain, 1.0), (&layers, 0.5)]), run(&[(&layers, 0.5), (&plain, 1.0)]));
    assert_close("order", &one, &other, 1e-4);
    assert_close("alone", &run(&[(&plain, 1.0)]), &logits(&model, &TOKENS, Some(&plain)), 1e-5);
}

#[test]
fn adapters_that_do_not_belong_together_are_refused() {
    let model = tiny("llama_tied");
    assert_says(merge_exact(&[]), &["nothing to merge"]);
    let other = tiny("llama_untied");
    let config = LoraConfig::default();
    let [one, two] = [&model, &other].map(|m| Adapter::init(m, &config, 1).unwrap());
    assert_says(
        merge_exact(&[(&one, 1.0), (&two, 1.0)]),
        &["k_proj", "layer 0", "differs in shape"],
    );
}
