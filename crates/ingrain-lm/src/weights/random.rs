//! Weights without a file, for measuring shapes that nobody has trained.

use std::cell::RefCell;
use std::path::Path;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::WeightSource;
use crate::LmError;
use crate::config::Family;

/// Every tensor there is: matrices uniform with a standard deviation of 0.02, norms one, biases zero.
pub(crate) struct RandomWeights(RefCell<Pcg64>);

impl RandomWeights {
    /// The same seed gives the same weights, read in the same order.
    pub(crate) fn new(seed: u64) -> Self {
        Self(RefCell::new(Pcg64::seed_from_u64(seed)))
    }
}

impl WeightSource for RandomWeights {
    fn path(&self) -> &Path {
        Path::new("random weights")
    }

    fn stored(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn norms_less_one(&self, _: Family) -> bool {
        false
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let len = shape.iter().product();
        if shape.len() == 1 {
            return Ok(vec![if name.ends_with(".bias") { 0.0 } else { 1.0 }; len]);
        }
        // Uniform in [-h, h] has the standard deviation h / sqrt(3).
        let half_width = 0.02 * 3f32.sqrt();
        let mut random = self.0.borrow_mut();
        let unit = |bits: u32| (bits >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
        Ok((0..len).map(|_| half_width * unit(random.next_u32())).collect())
    }
}
