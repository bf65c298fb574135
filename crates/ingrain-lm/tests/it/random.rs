//! Models of random weights.

use ingrain_lm::CausalLm;

use crate::fixture::{assert_says, device, logits, tiny};

#[test]
fn a_random_model_has_the_shapes_asked_for_and_follows_its_seed() {
    for name in crate::fixture::MODELS {
        let config = tiny(name).config().clone();
        let random = |seed| CausalLm::random(config.clone(), seed, &device()).unwrap();
        let found = logits(&random(1), &[1, 5, 7], None);
        assert_eq!(found.len(), 3 * config.vocab_size, "{name}");
        assert!(found.iter().all(|z| z.is_finite()), "{name}");
        assert!(found.iter().any(|z| z.abs() > 1e-3), "{name}: every logit is nearly 0");
        assert_eq!(found, logits(&random(1), &[1, 5, 7], None), "{name}");
        assert_ne!(found, logits(&random(2), &[1, 5, 7], None), "{name}");
    }
}

#[test]
fn a_shape_out_of_range_is_refused_by_name() {
    let mut config = tiny("llama_tied").config().clone();
    config.num_kv_heads = 3;
    let words = ["num_attention_heads", "num_key_value_heads (3)"];
    assert_says(CausalLm::random(config, 1, &device()), &words);
}
