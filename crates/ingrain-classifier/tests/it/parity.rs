//! Hidden states and token ids equal those of transformers.

use ingrain_classifier::{Encoder, EncoderBatch, EncoderConfig, Pooling};
use safetensors::SafeTensors;

use crate::fixture::{device, ids, json, path, tiny};

const MODELS: [&str; 4] = ["bert", "bert_task", "modernbert", "modernbert_task"];

fn expected(model: &str, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path(model).join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor(name).unwrap();
    data.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn sequences(model: &str) -> Vec<Vec<u32>> {
    let content = json(&format!("{model}/expected.json"));
    content["sequences"].as_array().unwrap().iter().map(ids).collect()
}

fn hidden(encoder: &Encoder, sequences: &[Vec<u32>]) -> Vec<f32> {
    let batch = EncoderBatch::new(sequences, &device());
    encoder.hidden(&batch).into_data().try_to_vec::<f32>().unwrap()
}

#[track_caller]
fn check(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-4, "{what}: off by {off}");
}

/// Every sequence by itself, then all of them in one padded batch; padding is not compared.
fn check_encoder(encoder: &Encoder, model: &str) {
    let sequences = sequences(model);
    for (index, ids) in sequences.iter().enumerate() {
        let found = hidden(encoder, std::slice::from_ref(ids));
        check(&found, &expected(model, &format!("hidden.{index}")), &format!("{model}, {index}"));
    }
    let width = encoder.config().hidden_size;
    let longest = sequences.iter().map(Vec::len).max().unwrap();
    let (found, expected) = (hidden(encoder, &sequences), expected(model, "padded"));
    for (row, ids) in sequences.iter().enumerate() {
        let real = row * longest * width..(row * longest + ids.len()) * width;
        check(&found[real.clone()], &expected[real], &format!("{model}, padded, {row}"));
    }
}

#[test]
fn hidden_states_are_those_of_transformers_padded_and_not() {
    for model in MODELS {
        check_encoder(&Encoder::load(&path(model), &device()).unwrap(), model);
    }
}

#[test]
fn configurations_of_transformers_4_mean_the_same() {
    for model in ["modernbert", "modernbert_task"] {
        let config = EncoderConfig::from_hf_json(&path(model).join("config.legacy.json")).unwrap();
        assert_eq!(config, EncoderConfig::from_hf_json(&path(model).join("config.json")).unwrap());
        check_encoder(&Encoder::load_as(&path(model), config, &device()).unwrap(), model);
    }
}

#[test]
fn a_sequence_has_the_same_vector_whatever_stands_beside_it() {
    for model in MODELS {
        let encoder = Encoder::load(&path(model), &device()).unwrap();
        let sequences = sequences(model);
        for pooling in [Pooling::Mean, Pooling::First] {
            let pooled = |sequences: &[Vec<u32>]| {
                let batch = EncoderBatch::new(sequences, &device());
                encoder.pooled(&batch, pooling).into_data().try_to_vec::<f32>().unwrap()
            };
            let together = pooled(&sequences);
            let alone: Vec<f32> =
                sequences.iter().flat_map(|ids| pooled(std::slice::from_ref(ids))).collect();
            check(&together, &alone, &format!("{model}, {pooling:?}"));
        }
    }
}

#[test]
fn token_ids_are_those_of_transformers_whole_and_cut() {
    let encoder = tiny();
    let cases = json("bert/texts.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.iter().any(|case| ids(&case["ids"]).len() > 12), "something is cut");
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let tokens = |max_tokens| encoder.tokens([text], max_tokens).unwrap().remove(0);
        assert_eq!(tokens(12), ids(&case["ids_12"]), "{text:?}");
        // 48 positions are all that this encoder has.
        assert!(ids(&case["ids"]).len() <= 48);
        assert_eq!(tokens(1_000), ids(&case["ids"]), "{text:?}");
    }
    let long = "storm ".repeat(500);
    assert_eq!(encoder.tokens([long.as_str()], 1_000).unwrap()[0].len(), 48);
}
