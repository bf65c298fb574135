//! A full model between two others.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::kernels::bf16::HalfWeight;
use crate::layers::DecoderLayer;
use crate::{CausalLm, LmError};

impl CausalLm {
    /// The model whose every weight is `(1 - share) * self + share * other`.
    ///
    /// `share` 0 is this model, 1 the other; values outside extrapolate.
    ///
    /// # Errors
    /// [`LmError::Config`] if the two differ in shape or constants, or `share` is not finite.
    pub fn interpolated(&self, other: &Self, share: f64) -> Result<Self, LmError> {
        if self.config != other.config {
            return Err(LmError::Config(
                "cannot interpolate models that differ in shape or constants".into(),
            ));
        }
        if !share.is_finite() {
            return Err(LmError::Config(format!(
                "cannot interpolate by {share}: no finite number"
            )));
        }
        let mut model = self.clone();
        let between = Between(share);
        model.embed = between.tensors(&self.embed, &other.embed);
        model.norm = between.tensors(&self.norm, &other.norm);
        model.head = match self.config.tie_embeddings {
            true => model.embed.clone(),
            false => between.tensors(&self.head, &other.head),
        };
        if model.head_half.is_some() {
            model.head_half = HalfWeight::pack(&model.head).map(Arc::new);
        }
        for (layer, other) in model.layers.iter_mut().zip(&other.layers) {
            between.layers(layer, other);
        }
        Ok(model)
    }
}

/// How far on the way to the other model.
#[derive(Clone, Copy)]
struct Between(f64);

impl Between {
    fn tensors<const D: usize>(self, one: &Tensor<D>, other: &Tensor<D>) -> Tensor<D> {
        one.clone().mul_scalar(1.0 - self.0) + other.clone().mul_scalar(self.0)
    }

    fn layers(self, layer: &mut DecoderLayer, other: &DecoderLayer) {
        for (linear, other) in layer.projections.iter_mut().zip(&other.projections) {
            linear.weight = self.tensors(&linear.weight, &other.weight);
            if let (Some(bias), Some(other)) = (&mut linear.bias, &other.bias) {
                *bias = self.tensors(bias, other);
            }
            if linear.half.is_some() {
                linear.pack();
            }
        }
        for (weight, (_, other)) in layer.norms_mut().into_iter().zip(other.norms()) {
            *weight = self.tensors(weight, other);
        }
    }
}
