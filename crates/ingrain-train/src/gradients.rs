//! Gradients by parameter name: accumulation and clipping by the norm of all of them together.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{Parameters, TrainError};

/// One gradient a parameter; parameters that the loss does not reach are absent.
#[derive(Clone, Debug, Default)]
pub struct Gradients(BTreeMap<String, Tensor<2>>);

impl Gradients {
    /// Runs the backward pass of `loss` and takes the gradients of `parameters`, which must be
    /// the tracked set that the loss was computed from.
    ///
    /// # Panics
    /// If `loss` does not depend on a tracked tensor.
    #[must_use]
    pub fn backward<P: Parameters>(loss: &Tensor<1>, parameters: &P) -> Self {
        let mut graph = loss.backward();
        let named = parameters.parameters().into_iter();
        Self(named.filter_map(|(name, p)| Some((name, p.grad_remove(&mut graph)?))).collect())
    }

    /// From tensors computed elsewhere.
    #[must_use]
    pub fn from_named(named: impl IntoIterator<Item = (String, Tensor<2>)>) -> Self {
        Self(named.into_iter().collect())
    }

    /// Adds `other`, gradient by gradient.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(earlier) => earlier + gradient,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
        self
    }

    /// Multiplies every gradient by `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self(self.0.into_iter().map(|(name, g)| (name, g.mul_scalar(factor))).collect())
    }

    /// Euclidean norm of all gradients taken as one vector, in f32; infinite or NaN if any
    /// gradient is.
    ///
    /// # Errors
    /// [`TrainError::Device`] if the value cannot be read back.
    pub fn norm(&self) -> Result<f64, TrainError> {
        // Row by row: a sum over a whole large tensor may be split between threads in an order
        // that changes from run to run, and a resumed run must repeat this number to the bit.
        let squares = self.0.values().map(|g| g.clone().square().sum_dim(1).sum());
        let squares: Vec<Tensor<1>> = squares.collect();
        if squares.is_empty() {
            return Ok(0.0);
        }
        let norm = Tensor::cat(squares, 0).sum().sqrt();
        read_scalar(norm, "the gradient norm")
    }

    /// The gradient of one parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor<2>> {
        self.0.get(name)
    }

    /// Takes out the gradient of one parameter.
    #[must_use]
    pub fn remove(&mut self, name: &str) -> Option<Tensor<2>> {
        self.0.remove(name)
    }

    /// Number of parameters that have a gradient.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no parameter has a gradient.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Factor that brings a gradient of norm `norm` down to `max_norm`, at most 1.
///
/// `max_norm / (norm + 1e-6)`, the form of `torch.nn.utils.clip_grad_norm_`.
///
/// # Examples
/// ```
/// assert_eq!(ingrain_train::clip_factor(0.5, 1.0), 1.0);
/// assert!((ingrain_train::clip_factor(4.0, 1.0) - 0.25).abs() < 1e-6);
/// ```
#[must_use]
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

/// Reads a tensor of one element.
pub(crate) fn read_scalar(tensor: Tensor<1>, what: &'static str) -> Result<f64, TrainError> {
    tensor
        .inner()
        .try_into_scalar::<f32>()
        .map(f64::from)
        .map_err(|error| TrainError::Device { what, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn gradients(values: &[(&str, [[f32; 2]; 1])]) -> Gradients {
        let device = Device::flex();
        Gradients::from_named(
            values.iter().map(|(n, v)| ((*n).to_owned(), Tensor::from_data(*v, &device))),
        )
    }

    fn values(g: &Gradients, name: &str) -> Vec<f32> {
        g.get(name).expect("present").to_data().try_to_vec().expect("f32")
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        // sqrt(1 + 4 + 4 + 16) = 5
        let g = gradients(&[("a", [[1.0, 2.0]]), ("b", [[2.0, 4.0]])]);
        assert_eq!(g.norm().expect("finite"), 5.0);
    }

    #[test]
    fn a_gradient_that_is_not_finite_shows_in_the_norm() {
        assert!(gradients(&[("a", [[f32::NAN, 0.0]])]).norm().expect("read").is_nan());
        assert!(gradients(&[("a", [[f32::INFINITY, 0.0]])]).norm().expect("read").is_infinite());
    }

    #[test]
    fn adding_keeps_gradients_that_only_one_side_has() {
        let sum = gradients(&[("a", [[1.0, 2.0]])])
            .plus(gradients(&[("a", [[3.0, 4.0]]), ("b", [[5.0, 6.0]])]));
        assert_eq!(values(&sum, "a"), [4.0, 6.0]);
        assert_eq!(values(&sum, "b"), [5.0, 6.0]);
    }

    #[test]
    fn clipping_scales_the_norm_to_the_limit_and_leaves_small_gradients_alone() {
        let g = gradients(&[("a", [[3.0, 4.0]])]);
        let factor = clip_factor(g.norm().expect("finite"), 1.0);
        let clipped = g.scaled(factor);
        assert!((clipped.norm().expect("finite") - 1.0).abs() < 1e-6);
        assert_eq!(clip_factor(0.0, 1.0), 1.0);
    }
}
