//! Value and gradients of the token mean against PEFT and torch (`fixtures/make_peft.py`).

use ingrain_introspection::{SftObjective, TokenizedTranscript};
use ingrain_lm::TokenSequence;
use ingrain_train::{Gradients, Objective};

use crate::fixtures::{adapter, json, model, tensors};

#[derive(serde::Deserialize)]
struct Expected {
    pairs: Vec<Pair>,
    losses: Losses,
}

#[derive(serde::Deserialize)]
struct Pair {
    prompt: Vec<u32>,
    chosen: Vec<u32>,
}

#[derive(serde::Deserialize)]
struct Losses {
    sft: f64,
}

#[test]
fn the_mean_over_tokens_and_its_gradients_equal_peft_s() {
    let expected: Expected = json("peft/expected.json");
    let gradients = tensors("peft/gradients.safetensors");
    let transcript = |(i, pair): (usize, &Pair)| TokenizedTranscript {
        id: format!("#{i}"),
        sequence: TokenSequence::from_parts(&pair.prompt, &pair.chosen),
    };
    let transcripts: Vec<_> = expected.pairs.iter().enumerate().map(transcript).collect();
    let model = model();
    let objective = SftObjective { model: &model, base: "tiny", transcripts: &transcripts };
    let tracked = adapter(&model).tracked();
    let cost = objective.cost(&[0, 1], &tracked).expect("costs");
    assert_eq!(cost.weight, 12.0);
    let loss = f64::from(cost.loss.clone().inner().into_scalar::<f32>()) / cost.weight;
    assert!((loss - expected.losses.sft).abs() < 1e-5, "{loss} is not {}", expected.losses.sft);

    let found = Gradients::backward(&cost.loss, &tracked).scaled(1.0 / cost.weight);
    for (name, _) in tracked.parameters() {
        let found: Vec<f32> =
            found.get(&name).expect("a gradient").to_data().try_to_vec().expect("f32");
        let expected = &gradients[&format!("sft.{name}")];
        assert_eq!(found.len(), expected.len());
        let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-5, "{name} is off by {largest}");
    }
}
