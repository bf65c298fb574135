//! Adapters and whole weights are sets of parameters.

use burn::tensor::Tensor;
use ingrain_lm::{Adapter, FullWeights};

use crate::Parameters;

impl Parameters for Adapter {
    fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        Adapter::parameters(self)
    }

    fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        Adapter::map_parameters(self, f)
    }
}

impl Parameters for FullWeights {
    fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        FullWeights::parameters(self)
    }

    fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        FullWeights::map_parameters(self, f)
    }
}
