//! What a pass lays over the frozen weights.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use crate::{Adapter, CausalLm, LmError};

/// A vector added to the residual stream behind some blocks, at every token.
///
/// Like an [`Adapter`] it is a value beside the model: a pass takes it or leaves it.
#[derive(Clone, Debug)]
pub struct Steering {
    /// `[hidden]` each, one place a block.
    vectors: Vec<Option<Tensor<1>>>,
}

impl Steering {
    /// Puts `vectors[i]` behind block `i` of `model`.
    ///
    /// # Errors
    /// [`LmError::Steering`] if there is not one place for each block, or a vector is of another width
    /// than the model or holds something that is no number.
    pub fn new(model: &CausalLm, vectors: &[Option<Vec<f32>>]) -> Result<Self, LmError> {
        let config = model.config();
        if vectors.len() != config.num_layers {
            return Err(LmError::Steering(format!(
                "vectors for {} blocks; the model has {}",
                vectors.len(),
                config.num_layers
            )));
        }
        let check = |(block, vector): (usize, &Option<Vec<f32>>)| {
            let Some(vector) = vector else { return Ok(None) };
            if vector.len() != config.hidden_size {
                return Err(LmError::Steering(format!(
                    "the vector for block {block} has {} values; the model's width is {}",
                    vector.len(),
                    config.hidden_size
                )));
            }
            if let Some(value) = vector.iter().find(|v| !v.is_finite()) {
                return Err(LmError::Steering(format!(
                    "the vector for block {block} holds {value}"
                )));
            }
            let data = TensorData::new(vector.clone(), [vector.len()]);
            Ok(Some(Tensor::from_data(data, model.device())))
        };
        let vectors = vectors.iter().enumerate().map(check).collect::<Result<_, _>>()?;
        Ok(Self { vectors })
    }

    /// The same directions at another strength.
    #[must_use]
    pub fn scaled(&self, strength: f64) -> Self {
        let scale = |v: &Option<Tensor<1>>| v.as_ref().map(|v| v.clone().mul_scalar(strength));
        Self { vectors: self.vectors.iter().map(scale).collect() }
    }

    /// `x: [tokens, hidden]` as it leaves block `index`, steered.
    pub(crate) fn apply(&self, index: usize, x: Tensor<2>) -> Tensor<2> {
        match &self.vectors[index] {
            Some(vector) => x + vector.clone().unsqueeze::<2>(),
            None => x,
        }
    }
}

/// What one pass lays over the weights: an adapter, steering, both or neither.
///
/// Functions of a model take `impl Into<Overlay>`, so that `Option<&Adapter>` will do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overlay<'a> {
    /// Low-rank side paths.
    pub adapter: Option<&'a Adapter>,
    /// Vectors added to the residual stream.
    pub steering: Option<&'a Steering>,
}

impl<'a> From<Option<&'a Adapter>> for Overlay<'a> {
    fn from(adapter: Option<&'a Adapter>) -> Self {
        Self { adapter, steering: None }
    }
}

/// The same, owned: a model under a name of its own, as a server or a chat offers it.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// Low-rank side paths.
    pub adapter: Option<Adapter>,
    /// Vectors added to the residual stream.
    pub steering: Option<Steering>,
}

impl From<Overlay<'_>> for Variant {
    fn from(overlay: Overlay<'_>) -> Self {
        Self { adapter: overlay.adapter.cloned(), steering: overlay.steering.cloned() }
    }
}

impl Variant {
    /// The base model with an adapter, or without.
    #[must_use]
    pub fn new(adapter: Option<Adapter>) -> Arc<Self> {
        Arc::new(Self { adapter, steering: None })
    }

    /// For one pass.
    #[must_use]
    pub fn overlay(&self) -> Overlay<'_> {
        Overlay { adapter: self.adapter.as_ref(), steering: self.steering.as_ref() }
    }
}
