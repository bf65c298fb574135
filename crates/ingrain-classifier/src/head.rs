//! What learns: a linear head, and weights of the encoder where they do.

use burn::tensor::{Device, Tensor};
use ingrain_train::Parameters;

use crate::encoder::{TensorShape, Weights};
use crate::{Encoder, Tuning};

pub(crate) const WEIGHT: &str = "head.weight";
pub(crate) const BIAS: &str = "head.bias";

/// `z = x W^T + b`, `W: [classes, hidden]`, `b: [1, classes]`.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) weight: Tensor<2>,
    pub(crate) bias: Tensor<2>,
}

impl Head {
    /// A head that finds all classes alike; its first gradient tells them apart.
    pub(crate) fn zeros(classes: usize, hidden: usize, device: &Device) -> Self {
        let weight = Tensor::zeros([classes, hidden], device);
        Self { weight, bias: Tensor::zeros([1, classes], device) }
    }

    /// `pooled: [rows, hidden]` to `[rows, classes]`.
    pub(crate) fn forward(&self, pooled: Tensor<2>) -> Tensor<2> {
        pooled.matmul(self.weight.clone().transpose()) + self.bias.clone()
    }

    pub(crate) fn shapes(classes: usize, hidden: usize) -> [TensorShape; 2] {
        [TensorShape::matrix(WEIGHT, classes, hidden), TensorShape::vector(BIAS, classes)]
    }
}

/// Everything that an optimiser moves.
#[derive(Clone, Debug)]
pub(crate) struct Trainable {
    pub(crate) head: Head,
    /// The encoder's weights that learn; may be none.
    pub(crate) encoder: Weights,
}

impl Trainable {
    pub(crate) fn new(encoder: &Encoder, tuning: Tuning, classes: usize) -> Self {
        let chosen = encoder.weights().iter().filter(|(name, _)| tuning.trains(name));
        let chosen = chosen.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
        let head = Head::zeros(classes, encoder.config().hidden_size, encoder.device());
        Self { head, encoder: Weights::named(chosen) }
    }
}

impl Parameters for Trainable {
    fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        let head = [(WEIGHT, &self.head.weight), (BIAS, &self.head.bias)];
        let named = head.into_iter().chain(self.encoder.iter());
        named.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
    }

    fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        let head = Head {
            weight: f(WEIGHT, self.head.weight.clone()),
            bias: f(BIAS, self.head.bias.clone()),
        };
        Self { head, encoder: self.encoder.map(f) }
    }
}
