//! A parameter set for unit tests: no model needed.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use crate::{Gradients, Parameters};

/// Named matrices.
#[derive(Clone, Debug)]
pub(crate) struct Named(BTreeMap<String, Tensor<2>>);

impl Named {
    pub(crate) fn new(values: &[(&str, [[f32; 2]; 1])]) -> Self {
        let device = Device::flex();
        let tensor = |v: &[[f32; 2]; 1]| Tensor::from_data(*v, &device);
        Self(values.iter().map(|(name, v)| ((*name).to_owned(), tensor(v))).collect())
    }

    pub(crate) fn into_gradients(self) -> Gradients {
        Gradients::from_named(self.0)
    }

    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        self.0[name].to_data().try_to_vec().expect("f32")
    }
}

impl Parameters for Named {
    fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        self.0.clone().into_iter().collect()
    }

    fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        Self(self.0.iter().map(|(name, t)| (name.clone(), f(name, t.clone()))).collect())
    }
}
