//! What a batch of labelled texts costs.

use burn::tensor::{Int, Tensor, TensorData, activation};
use ingrain_train::{Cost, Metrics, Objective, TrainError};

use crate::classifier::likeliest;
use crate::head::Trainable;
use crate::text_encoder::rows;
use crate::{Encoder, EncoderBatch, Pooling};

/// What goes into the head: vectors where the encoder is frozen, else tokens.
#[derive(Clone, Copy)]
pub(crate) enum Inputs<'a> {
    Tokens(&'a [Vec<u32>]),
    Vectors(&'a [Vec<f32>]),
}

/// Cross-entropy `-ln softmax(z)[class]`, summed over the texts.
pub(crate) struct Classification<'a> {
    pub(crate) encoder: &'a Encoder,
    pub(crate) pooling: Pooling,
    /// Of all texts.
    pub(crate) inputs: Inputs<'a>,
    /// The texts to learn from, by index into the inputs.
    pub(crate) texts: &'a [usize],
    /// Their classes.
    pub(crate) classes: &'a [usize],
    /// Names texts, classes and encoder.
    pub(crate) fingerprint: String,
}

impl Classification<'_> {
    /// One vector a text, `[texts, hidden]`, and the tokens that were read.
    fn vectors(&self, texts: &[usize], parameters: &Trainable) -> (Tensor<2>, u64) {
        let device = self.encoder.device();
        match self.inputs {
            Inputs::Vectors(vectors) => {
                let rows: Vec<f32> = texts.iter().flat_map(|&i| &vectors[i]).copied().collect();
                let shape = [texts.len(), self.encoder.config().hidden_size];
                (Tensor::from_data(TensorData::new(rows, shape), device), texts.len() as u64)
            }
            Inputs::Tokens(tokens) => {
                let sequences: Vec<&[u32]> = texts.iter().map(|&i| tokens[i].as_slice()).collect();
                let batch = EncoderBatch::new(&sequences, device);
                let weights = self.encoder.weights().with(&parameters.encoder);
                let read = batch.lengths().iter().sum::<usize>() as u64;
                (self.encoder.pooled_with(&weights, &batch, self.pooling), read)
            }
        }
    }
}

impl Objective<Trainable> for Classification<'_> {
    fn cost(&self, examples: &[usize], parameters: &Trainable) -> Result<Cost, TrainError> {
        let texts: Vec<usize> = examples.iter().map(|&example| self.texts[example]).collect();
        let (vectors, tokens) = self.vectors(&texts, parameters);
        let logits = parameters.head.forward(vectors);
        let found = rows(logits.clone(), "a logit").map_err(TrainError::objective)?;
        let is_right = |(row, &example): (&Vec<f32>, &usize)| {
            let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
            likeliest(&row) == self.classes[example]
        };
        let right = found.iter().zip(examples).filter(|&pair| is_right(pair)).count();
        let classes: Vec<i32> =
            examples.iter().map(|&example| self.classes[example] as i32).collect();
        let classes = TensorData::new(classes, [examples.len(), 1]);
        let classes = Tensor::<2, Int>::from_data(classes, self.encoder.device());
        let loss = activation::log_softmax(logits, 1).gather(1, classes).sum().neg();
        let weight = examples.len() as f64;
        let mut metrics = Metrics::default();
        metrics.add("accuracy", right as f64, weight);
        Ok(Cost { loss, weight, tokens, metrics })
    }

    fn example_name(&self, example: usize) -> String {
        format!("text {}", self.texts[example])
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use burn::tensor::{Device, Tensor};
    use ingrain_train::{Gradients, Objective, Parameters};
    use serde_json::Value;

    use super::{Classification, Inputs};
    use crate::encoder::{TensorShape, Weights};
    use crate::head::{BIAS, Head, Trainable, WEIGHT};
    use crate::text_encoder::rows;
    use crate::{Encoder, Pooling, Tuning};

    const MODELS: [&str; 4] = ["bert", "bert_task", "modernbert", "modernbert_task"];

    fn dir(model: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encoders").join(model)
    }

    fn flat(tensor: Tensor<2>) -> Vec<f32> {
        rows(tensor, "a tensor").expect("on the host").concat()
    }

    /// The tensors of `expected.safetensors` under these names.
    fn expected(model: &str, shapes: &[TensorShape]) -> BTreeMap<String, Tensor<2>> {
        let path = dir(model).join("expected.safetensors");
        let found = Weights::load_file(&path, shapes, &Device::flex()).expect("the fixture");
        found.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
    }

    #[track_caller]
    fn check(name: &str, found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
        for (at, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= 1e-4 * largest, "{name}[{at}]: {a}, not {b}");
        }
    }

    /// The loss over the padded batch of a fixture, with its head, everything free to learn.
    fn check_model(model: &str) {
        let device = Device::flex();
        let encoder = Encoder::load(&dir(model), &device).expect("the fixture");
        let text = std::fs::read_to_string(dir(model).join("expected.json")).expect("the fixture");
        let content: Value = serde_json::from_str(&text).expect("JSON");
        let parse = |value: &Value| serde_json::from_value(value.clone()).expect("numbers");
        let sequences: Vec<Vec<u32>> =
            content["sequences"].as_array().expect("a list").iter().map(parse).collect();
        let classes: Vec<usize> =
            serde_json::from_value(content["classes"].clone()).expect("a list");

        let [weight, bias] = Head::shapes(3, encoder.config().hidden_size);
        let head = expected(model, &[weight, bias]);
        let head = Head { weight: head[WEIGHT].clone(), bias: head[BIAS].clone() };
        let parameters = Trainable { head, ..Trainable::new(&encoder, Tuning::Full, 3) };
        let objective = Classification {
            encoder: &encoder,
            pooling: Pooling::Mean,
            inputs: Inputs::Tokens(&sequences),
            texts: &[0, 1, 2],
            classes: &classes,
            fingerprint: String::new(),
        };
        let (vectors, tokens) = objective.vectors(&[0, 1, 2], &parameters);
        assert_eq!(tokens, 3 + 9 + 30);
        let logits = expected(model, &[TensorShape::matrix("logits", 3, 3)]);
        check("logits", &flat(parameters.head.forward(vectors)), &flat(logits["logits"].clone()));

        let tracked = parameters.tracked();
        let cost = objective.cost(&[0, 1, 2], &tracked).expect("a cost");
        let mut gradients = Gradients::backward(&cost.loss, &tracked);
        let named = parameters.parameters();
        assert!(named.len() > 20, "everything learns");
        let shape = |(name, tensor): &(String, Tensor<2>)| {
            let [rows, columns] = tensor.dims();
            let name = format!("gradient.{name}");
            match rows {
                1 if !name.contains("embeddings.weight") => TensorShape::vector(name, columns),
                _ => TensorShape::matrix(name, rows, columns),
            }
        };
        let shapes: Vec<TensorShape> = named.iter().map(shape).collect();
        let expected = expected(model, &shapes);
        for (name, _) in &named {
            let found = gradients.remove(name).expect("it learns");
            check(name, &flat(found), &flat(expected[&format!("gradient.{name}")].clone()));
        }
    }

    #[test]
    fn logits_and_gradients_of_every_weight_are_those_of_torch() {
        for model in MODELS {
            check_model(model);
        }
    }

    #[test]
    fn a_head_alone_learns_from_vectors_and_gives_the_cost_of_chance_at_first() {
        let device = Device::flex();
        let encoder = Encoder::load(&dir("bert"), &device).expect("the fixture");
        let vectors = vec![vec![0.5; 32], vec![-0.5; 32]];
        let parameters = Trainable::new(&encoder, Tuning::Head, 4);
        assert_eq!(parameters.parameters().len(), 2);
        let objective = Classification {
            encoder: &encoder,
            pooling: Pooling::Mean,
            inputs: Inputs::Vectors(&vectors),
            texts: &[0, 1],
            classes: &[0, 3],
            fingerprint: String::new(),
        };
        let cost = objective.cost(&[0, 1], &parameters).expect("a cost");
        assert!((cost.loss.into_scalar::<f32>() - 2.0 * 4_f32.ln()).abs() < 1e-6);
        assert_eq!(cost.metrics.means()["accuracy"], 0.5, "the first class is named for both");
    }
}
