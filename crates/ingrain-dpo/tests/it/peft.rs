//! Gradients of an adapter and steps of the optimiser against PEFT and torch
//! (`fixtures/make_peft.py`).

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use ingrain_dpo::{DpoConfig, DpoObjective, LossSpec, ReferencePass, TokenizedPair};
use ingrain_lm::Adapter;
use ingrain_train::{AdamW, AdamWConfig, Gradients, Objective, Parameters, TrainConfig};

use crate::fixtures::{Recorder, adapter, json, model, peft_pairs, tensors};

/// Mean loss of the two pairs and its gradients.
fn mean_gradients(losses: &str, at: Option<&Adapter>) -> (f64, Gradients) {
    let (model, pairs) = (model(), peft_pairs());
    let losses: Vec<LossSpec> = serde_json::from_str(losses).expect("an objective");
    let config = DpoConfig { losses, ..DpoConfig::default() };
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let run = recorder.run(dir.path());
    let (examples, training): (Vec<_>, _) =
        (pairs.iter().map(TokenizedPair::sequences).collect(), TrainConfig::default());
    let (base, shared) = ("tiny", None);
    let pass =
        ReferencePass { model: &model, base, examples: &examples, training: &training, shared };
    let reference = pass.logps(&run).expect("scores");
    let objective =
        DpoObjective::new(&model, "tiny", &pairs, Some(reference), &config).expect("valid");
    let tracked = at.map_or_else(|| adapter(&model), Clone::clone).tracked();
    let cost = objective.cost(&[0, 1], &tracked).expect("costs");
    let loss = cost.loss.clone().inner().into_scalar::<f32>();
    let gradients = Gradients::backward(&cost.loss, &tracked).scaled(1.0 / cost.weight);
    (f64::from(loss) / cost.weight, gradients)
}

fn distance(found: &Tensor<2>, expected: &[f32]) -> f32 {
    let found: Vec<f32> = found.to_data().try_to_vec().expect("f32");
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

const COMPOSITE: &str = r#"[{"dpo": 1.0}, {"nll": 0.1}, {"squared_log_ratio": 0.001}]"#;

#[test]
fn values_and_gradients_of_an_adapter_equal_peft_s() {
    #[derive(serde::Deserialize)]
    struct Expected {
        losses: BTreeMap<String, f64>,
    }
    let expected = json::<Expected>("peft/expected.json").losses;
    let gradients = tensors("peft/gradients.safetensors");
    let cases = [
        ("nll", r#"[{"nll": 1.0}]"#),
        ("dpo", r#"[{"dpo": 1.0}]"#),
        ("squared_log_ratio", r#"[{"squared_log_ratio": 1.0}]"#),
        ("composite", COMPOSITE),
    ];
    for (name, losses) in cases {
        let (loss, found) = mean_gradients(losses, None);
        assert!((loss - expected[name]).abs() < 1e-5, "{name}: {loss} is not {}", expected[name]);
        assert_eq!(found.len(), 28, "two layers, seven projections, two factors");
        for (parameter, tensor) in adapter(&model()).parameters() {
            let gradient = found.get(&parameter).expect("a gradient");
            assert_eq!(gradient.dims(), tensor.dims());
            let expected = &gradients[&format!("{name}.{parameter}")];
            let scale = expected.iter().fold(1.0_f32, |scale, g| scale.max(g.abs()));
            let largest = distance(gradient, expected);
            assert!(largest < 1e-5 * scale, "{name}.{parameter} is off by {largest}");
        }
    }
}

#[test]
fn two_steps_of_adamw_equal_torch_s() {
    let expected = tensors("peft/stepped.safetensors");
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let mut stepped = adapter(&model());
    for prefix in ["", "second."] {
        let (_, gradients) = mean_gradients(COMPOSITE, Some(&stepped));
        stepped = optimizer.step(&stepped, gradients, 1e-3);
        for (parameter, tensor) in Parameters::parameters(&stepped) {
            let largest = distance(&tensor, &expected[&format!("{prefix}{parameter}")]);
            assert!(largest < 1e-5, "{prefix}{parameter} is off by {largest}");
        }
    }
}
