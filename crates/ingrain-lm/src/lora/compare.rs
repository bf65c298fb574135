//! How large an adapter's update is, and how much two point the same way.

use burn::tensor::Tensor;

use super::Projection;
use super::adapter::{Adapter, LoraPair};
use super::merge::merge_exact;
use crate::LmError;

/// How large an update one module gets.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleNorm {
    /// The decoder block, counted from 0.
    pub layer: usize,
    /// The module in it.
    pub projection: Projection,
    /// Columns of its `B`.
    pub rank: usize,
    /// Frobenius norm of the update `scale * B A`.
    pub norm: f64,
}

impl Adapter {
    /// The size of every module's update, in order.
    #[must_use]
    pub fn norms(&self) -> Vec<ModuleNorm> {
        let mut norms = Vec::new();
        for (layer, sides) in self.layers.iter().enumerate() {
            for projection in Projection::ALL {
                if let Some(pair) = sides.get(projection) {
                    let (norm, rank) = (inner(pair, pair).max(0.0).sqrt(), pair.a.dims()[0]);
                    norms.push(ModuleNorm { layer, projection, rank, norm });
                }
            }
        }
        norms
    }

    /// Frobenius norm of the whole update.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.norms().iter().map(|module| module.norm * module.norm).sum::<f64>().sqrt()
    }

    /// Cosine of the angle between two updates, over all modules as one vector; -1 to 1. A module that
    /// only one of them has counts as zero in the other.
    ///
    /// # Errors
    /// [`LmError::Adapter`] if they belong to different models, or one of them changes nothing.
    pub fn cosine(&self, other: &Self) -> Result<f64, LmError> {
        let different = || LmError::Adapter("cannot compare adapters of different models".into());
        if self.layers.len() != other.layers.len() {
            return Err(different());
        }
        let mut product = 0.0;
        for (one, two) in self.layers.iter().zip(&other.layers) {
            for (one, two) in one.pairs.iter().zip(&two.pairs) {
                let (Some(one), Some(two)) = (one, two) else { continue };
                if one.a.dims()[1] != two.a.dims()[1] || one.b.dims()[0] != two.b.dims()[0] {
                    return Err(different());
                }
                product += inner(one, two);
            }
        }
        let size = self.norm() * other.norm();
        if size > 0.0 {
            return Ok((product / size).clamp(-1.0, 1.0));
        }
        Err(LmError::Adapter("one of the adapters changes nothing: it has no direction".into()))
    }

    /// The adapter that leads from `other` to this one: their exact difference.
    ///
    /// # Errors
    /// [`LmError::Adapter`] if they belong to different models.
    pub fn difference(&self, other: &Self) -> Result<Self, LmError> {
        merge_exact(&[(self, 1.0), (other, -1.0)])
    }
}

/// `<B1 A1, B2 A2> = <B2^T B1, A2 A1^T>`, with both scales; the updates are never formed.
fn inner(one: &LoraPair, two: &LoraPair) -> f64 {
    let plain = |tensor: &Tensor<2>| tensor.clone().without_autodiff();
    let outputs = plain(&two.b).transpose().matmul(plain(&one.b));
    let inputs = plain(&two.a).matmul(plain(&one.a).transpose());
    let product = (outputs * inputs).into_data();
    one.scale * two.scale * product.iter::<f32>().map(f64::from).sum::<f64>()
}
