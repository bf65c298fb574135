//! Seeded random numbers whose streams never depend on thread or order.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::normal;

/// One stream of random numbers, fixed by a seed and an index.
///
/// # Examples
/// ```
/// use ingrain_stats::Stream;
///
/// let mut order: Vec<usize> = (0..5).collect();
/// Stream::new(7, 0).shuffle(&mut order);
/// let mut again: Vec<usize> = (0..5).collect();
/// Stream::new(7, 0).shuffle(&mut again);
/// assert_eq!(order, again);
/// ```
#[derive(Clone, Debug)]
pub struct Stream(Pcg64);

impl Stream {
    /// The stream `index` of `seed`; different indices give independent numbers.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        let mut bytes = [0_u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&index.to_le_bytes());
        bytes[16..24].copy_from_slice(&mixed(index ^ mixed(seed)).to_le_bytes());
        bytes[24..].copy_from_slice(&mixed(index.wrapping_add(1)).to_le_bytes());
        let mut generator = Pcg64::from_seed(bytes);
        // The first outputs of neighbouring states are alike.
        for _ in 0..8 {
            generator.next_u64();
        }
        Self(generator)
    }

    /// A whole number in `0..bound`, each equally likely (to 2^-32); 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A draw from the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        // Never 0, whose quantile is infinite.
        normal::quantile(
            (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 + 2.0_f64.powi(-54),
        )
    }

    /// Whether an event of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Puts `items` into a random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// The finaliser of SplitMix64: neighbouring numbers become unlike.
fn mixed(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_uniform_and_differ_by_index() {
        let mean = |index| {
            let mut stream = Stream::new(1, index);
            (0..10_000).map(|_| stream.uniform()).sum::<f64>() / 10_000.0
        };
        // SD of such a mean is 1/sqrt(12 * 10,000) = 0.0029.
        assert!((mean(0) - 0.5).abs() < 0.012);
        assert_ne!(mean(0), mean(1));
    }

    #[test]
    fn the_first_numbers_of_neighbouring_streams_are_unrelated() {
        let first: Vec<f64> = (0..10_000).map(|i| Stream::new(3, i).uniform()).collect();
        let mean = first.iter().sum::<f64>() / 10_000.0;
        let product = first.windows(2).map(|w| (w[0] - 0.5) * (w[1] - 0.5)).sum::<f64>() / 9_999.0;
        assert!((mean - 0.5).abs() < 0.012);
        assert!(product.abs() < 0.004, "SD is 1/12/100 = 0.0008");
    }

    #[test]
    fn normal_draws_have_mean_0_and_variance_1() {
        let mut stream = Stream::new(5, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05);
    }
}
