//! Rotary position embedding in the half-split form of HF checkpoints.

use burn::tensor::{Device, Tensor, TensorData};

use crate::DecoderConfig;

/// Sines and cosines of one forward pass.
///
/// Source: Su et al. 2021, arXiv:2104.09864; the pairing of dimension `i` with `i + head_dim / 2` is
/// that of HF checkpoints. Angles are computed in f64 on the host: a few thousand values a pass.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotary {
    /// The same positions `0..seq` for every row.
    pub(crate) fn shared(config: &DecoderConfig, seq: usize, device: &Device) -> Self {
        Self::at(config, 1, (0..seq).collect(), device)
    }

    /// One position a token, `positions.len() = batch * seq`.
    pub(crate) fn at(
        config: &DecoderConfig,
        batch: usize,
        positions: Vec<usize>,
        device: &Device,
    ) -> Self {
        let frequencies = config.rope_frequencies();
        let (seq, half) = (positions.len() / batch, frequencies.len());
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for position in positions {
            for frequency in &frequencies {
                let angle = position as f64 * frequency;
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let tensor =
            |v: Vec<f32>| Tensor::from_data(TensorData::new(v, [batch, seq, 1, half]), device);
        Self { cos: tensor(cos), sin: tensor(sin) }
    }

    /// Rotates `x: [batch, seq, heads, head_dim]`.
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, seq, heads, dim] = x.dims();
        let half = dim / 2;
        let first = x.clone().slice([0..batch, 0..seq, 0..heads, 0..half]);
        let second = x.slice([0..batch, 0..seq, 0..heads, half..dim]);
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let rotated_first = first.clone() * cos.clone() - second.clone() * sin.clone();
        let rotated_second = second * cos + first * sin;
        Tensor::cat(vec![rotated_first, rotated_second], 3)
    }
}
