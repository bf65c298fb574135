//! Rotary position embedding in the half-split form of HF checkpoints.

use burn::tensor::{Device, Tensor, TensorData};

use crate::DecoderConfig;
use crate::config::LayerRope;
use crate::kernels::Dense;

/// Sines and cosines of one forward pass.
///
/// Source: Su et al. 2021, arXiv:2104.09864; the pairing of dimension `i` with `i + head_dim / 2` is
/// that of HF checkpoints. Angles are computed in f64 on the host: a few thousand values a pass.
#[derive(Clone, Debug)]
pub struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotary {
    /// The same positions `0..seq` for every row.
    pub(crate) fn shared(
        config: &DecoderConfig,
        rope: LayerRope,
        seq: usize,
        device: &Device,
    ) -> Self {
        Self::at(config, rope, 1, (0..seq).collect(), device)
    }

    /// One position a token, `positions.len() = batch * seq`.
    pub(crate) fn at(
        config: &DecoderConfig,
        rope: LayerRope,
        batch: usize,
        positions: Vec<usize>,
        device: &Device,
    ) -> Self {
        let frequencies = config.rope_frequencies(rope);
        Self::new(&frequencies, config.rope_magnitude(rope), batch, positions, device)
    }

    /// Angles of `positions.len() = batch * seq` positions, in radians a position by `frequencies`, half
    /// as many as a head has dimensions; sines and cosines are multiplied by `magnitude`. With a batch of
    /// 1, every row of what is rotated has the same positions.
    #[must_use]
    pub fn new(
        frequencies: &[f64],
        magnitude: f64,
        batch: usize,
        positions: Vec<usize>,
        device: &Device,
    ) -> Self {
        let (seq, half) = (positions.len() / batch, frequencies.len());
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for position in positions {
            for frequency in frequencies {
                let angle = position as f64 * frequency;
                cos.push((magnitude * angle.cos()) as f32);
                sin.push((magnitude * angle.sin()) as f32);
            }
        }
        let tensor =
            |v: Vec<f32>| Tensor::from_data(TensorData::new(v, [batch, seq, 1, half]), device);
        Self { cos: tensor(cos), sin: tensor(sin) }
    }

    /// Cosines and sines for kernels, a row a position.
    pub(super) fn read(&self) -> Option<(Dense, Dense)> {
        Some((Dense::read(&self.cos)?, Dense::read(&self.sin)?))
    }

    /// Rotates `x: [batch, seq, heads, head_dim]`.
    #[must_use]
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor, TensorData};

    use super::Rotary;
    use crate::kernels::Dense;
    use crate::kernels::rotary::{Angles, Turn, rotate};

    fn table(positions: &[usize], batch: usize, half: usize) -> Rotary {
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|&p| (0..half).map(move |i| (p as f32 + 0.3) / (i + 1) as f32))
            .collect();
        let shape = [batch, positions.len() / batch, 1, half];
        let tensor = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().copied().map(f).collect();
            Tensor::from_data(TensorData::new(values, shape), &Device::flex())
        };
        Rotary { cos: tensor(f32::cos), sin: tensor(f32::sin) }
    }

    #[test]
    fn kernels_turn_as_the_composition_does_and_back_again() {
        let device = Device::flex();
        for (batch, seq, heads, half, shared) in
            [(1, 1, 1, 1, true), (2, 5, 3, 4, true), (3, 1, 2, 10, false), (2, 47, 9, 32, true)]
        {
            let rotary = match shared {
                true => table(&(0..seq).collect::<Vec<_>>(), 1, half),
                false => table(&(3..3 + batch * seq).collect::<Vec<_>>(), batch, half),
            };
            let shape = [batch, seq, heads, 2 * half];
            let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let expected = rotary.apply(x.clone());
            let (cos, sin) = rotary.read().expect("f32 on Flex");
            let angles = Angles { cos: cos.values(), sin: sin.values(), half };
            let original = Dense::read(&x).expect("f32 on Flex");
            let mut turned = original.values().to_vec();
            let close = |found: &[f32], expected: &[f32]| {
                found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
            };
            rotate(&mut turned, heads, angles, Turn::Forward);
            assert!(close(&turned, Dense::read(&expected).expect("as above").values()));
            rotate(&mut turned, heads, angles, Turn::Backward);
            assert!(
                close(&turned, original.values()),
                "an orthogonal map: its inverse is its transpose"
            );
        }
    }
}
