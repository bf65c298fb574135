//! Products with frozen weights in bf16: packed once, activations rounded on the way in, sums in f32.
//!
//! Processors with AVX-512 BF16 multiply pairs of bf16 at several times the rate of f32. No crate that
//! we know offers that product, so this is one: a panel of 64 columns stays in the second-level cache
//! while the rows pass by, six at a time, their sums in registers over the whole depth of a block.
//! Nothing is packed ([`Packed::of_rows`] returns `None`) on every other processor.

#[cfg(target_arch = "x86_64")]
mod avx512;

use rayon::prelude::*;

/// Columns of a panel, interleaved: four vectors of sixteen.
const PANEL: usize = 64;
/// Rows that share one pass over a panel.
const TILE: usize = 6;
/// Most rows a task: with a depth of [`BLOCK`] their bf16 values fit the second-level cache.
const RUN: usize = 96;
/// Pairs of a depth that are taken at once: a panel of them is a quarter of a megabyte.
const BLOCK: usize = 1024;

/// A matrix `B [depth, columns]` in bf16, for `C = A B` with `A` and `C` in f32.
///
/// `A` is rounded to the nearest bf16 on the way in, sums are f32.
#[derive(Debug)]
pub struct Packed {
    /// Panels of [`PANEL`] columns; in each, pairs of the depth; of each pair, all columns. A value is
    /// two bf16, the even depth in the low half. Zeros fill up the last panel and an odd depth.
    values: Vec<u32>,
    depth: usize,
    columns: usize,
}

impl Packed {
    /// Packs `B`, row-major; `None` where there are no instructions for it.
    ///
    /// # Panics
    /// If there are not `depth` times `columns` values.
    #[must_use]
    pub fn of_rows(values: &[f32], [depth, columns]: [usize; 2]) -> Option<Self> {
        assert_eq!(values.len(), depth * columns, "B is [depth, columns]");
        Self::fill([depth, columns], |first, packed| {
            let end = columns.min(first + PANEL);
            let rows = values.chunks(2 * columns.max(1)).zip(packed.chunks_exact_mut(PANEL));
            for (two, packed) in rows {
                let (even, odd) = two.split_at(columns);
                for (j, (both, low)) in packed.iter_mut().zip(&even[first..end]).enumerate() {
                    *both = pack(*low, odd.get(first + j).copied().unwrap_or(0.0));
                }
            }
        })
    }

    /// Packs `B` from its transpose `[columns, depth]`, row-major; otherwise as [`Self::of_rows`].
    ///
    /// # Panics
    /// If there are not `depth` times `columns` values.
    #[must_use]
    pub fn of_columns(values: &[f32], [depth, columns]: [usize; 2]) -> Option<Self> {
        assert_eq!(values.len(), depth * columns, "the transpose of B is [columns, depth]");
        Self::fill([depth, columns], |first, packed| {
            let end = columns.min(first + PANEL);
            let own = values[first * depth..end * depth].chunks_exact(depth.max(1));
            for (j, column) in own.enumerate() {
                for (two, packed) in column.chunks(2).zip(packed.chunks_exact_mut(PANEL)) {
                    packed[j] = pack(two[0], two.get(1).copied().unwrap_or(0.0));
                }
            }
        })
    }

    /// Has `panel` write each panel, given its first column and zeros.
    fn fill(
        [depth, columns]: [usize; 2],
        panel: impl Fn(usize, &mut [u32]) + Sync,
    ) -> Option<Self> {
        if !supported() {
            return None;
        }
        let size = depth.div_ceil(2) * PANEL;
        let mut values = vec![0; columns.div_ceil(PANEL) * size];
        let panels = values.par_chunks_mut(size.max(1)).enumerate();
        panels.for_each(|(index, values)| panel(index * PANEL, values));
        Some(Self { values, depth, columns })
    }

    /// `C += A B`, both row-major.
    ///
    /// # Panics
    /// If the sizes do not agree.
    pub fn add_product(&self, c: &mut [f32], a: &[f32]) {
        let rows = a.len().checked_div(self.depth).unwrap_or(0);
        assert_eq!(a.len(), rows * self.depth, "A is [rows, depth]");
        assert_eq!(c.len(), rows * self.columns, "C is [rows, columns]");
        if c.is_empty() {
            return;
        }
        let run = rows.div_ceil(rayon::current_num_threads()).next_multiple_of(TILE).min(RUN);
        c.par_chunks_mut(run * self.columns)
            .zip(a.par_chunks(run * self.depth))
            .for_each(|(c, a)| self.run(c, a));
    }

    #[cfg(target_arch = "x86_64")]
    fn run(&self, c: &mut [f32], a: &[f32]) {
        let pairs = self.depth.div_ceil(2);
        let mut halves = Vec::new();
        for first in (0..pairs).step_by(BLOCK) {
            let block = BLOCK.min(pairs - first);
            halves.clear();
            for row in a.chunks_exact(self.depth) {
                let row = &row[2 * first..self.depth.min(2 * (first + block))];
                avx512::round(row, &mut halves);
            }
            for (panel, values) in self.values.chunks_exact(pairs * PANEL).enumerate() {
                let values = &values[first * PANEL..(first + block) * PANEL];
                let start = panel * PANEL;
                let place = avx512::Place { stride: self.columns, start };
                avx512::add_panel(c, place, &halves, block, values);
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn run(&self, _: &mut [f32], _: &[f32]) {
        unreachable!("nothing is packed where this product does not run")
    }
}

/// A frozen weight `W [outputs, inputs]`, packed for both directions.
#[derive(Debug)]
pub(crate) struct HalfWeight {
    /// For `x W^T`.
    pub(crate) forward: Packed,
    /// For `dy W`.
    pub(crate) backward: Packed,
}

impl HalfWeight {
    /// Packs `weight`, row-major; `None` where there are no instructions for it.
    pub(crate) fn new(weight: &[f32], [outputs, inputs]: [usize; 2]) -> Option<Self> {
        let forward = Packed::of_columns(weight, [inputs, outputs])?;
        let backward = Packed::of_rows(weight, [outputs, inputs])?;
        Some(Self { forward, backward })
    }
}

/// Whether this processor multiplies bf16.
pub(crate) fn supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx512::supported();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Two values to the nearest bf16, ties to even; the first in the low half.
fn pack(low: f32, high: f32) -> u32 {
    round(low) | round(high) << 16
}

/// The bits of the nearest bf16.
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let up = 0x7fff + ((bits >> 16) & 1);
    if x.is_nan() { 0x7fc0 } else { (bits + up) >> 16 }
}

#[cfg(test)]
mod tests {
    use super::{Packed, supported};

    /// Whole numbers up to 8 either way: exact in bf16, their sums exact in f32.
    fn whole(len: usize, step: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * step) % 17) as f32 - 8.0).collect()
    }

    #[test]
    fn products_of_small_integers_are_exact_for_ragged_shapes() {
        if !supported() {
            assert!(Packed::of_rows(&[1.0], [1, 1]).is_none());
            return;
        }
        for rows in [1, 2, 5, 6, 7, 13, 100, 203] {
            for (depth, columns) in [(1, 1), (2, 16), (31, 65), (64, 64), (577, 130), (2051, 3)] {
                let (a, b) = (whole(rows * depth, 5), whole(depth * columns, 3));
                let transposed: Vec<f32> =
                    (0..columns * depth).map(|i| b[i % depth * columns + i / depth]).collect();
                let size = [depth, columns];
                let both = [Packed::of_rows(&b, size), Packed::of_columns(&transposed, size)];
                for packed in both.map(|packed| packed.expect("supported")) {
                    let mut c = whole(rows * columns, 7);
                    let mut expected = c.clone();
                    packed.add_product(&mut c, &a);
                    for (i, c) in expected.iter_mut().enumerate() {
                        let (row, column) = (i / columns, i % columns);
                        let terms =
                            (0..depth).map(|k| a[row * depth + k] * b[k * columns + column]);
                        *c += terms.sum::<f32>();
                    }
                    assert_eq!(c, expected, "{rows} x {depth} x {columns}");
                }
            }
        }
    }

    #[test]
    fn packed_values_round_as_the_half_crate_rounds() {
        for x in [0.0, -0.0, 1.003_906_3, -1.011_718_8, 3.4e38, f32::INFINITY, 1e-40, -7.1e-3] {
            assert_eq!(super::round(x), u32::from(half::bf16::from_f32(x).to_bits()), "{x}");
        }
        assert!(half::bf16::from_bits(super::round(f32::NAN) as u16).is_nan());
    }

    #[test]
    fn values_round_to_the_nearest_bf16() {
        if !supported() {
            return;
        }
        // 1 + 2^-8 lies between 1 and 1 + 2^-7: to even, 1. A little more goes up.
        let a = [1.0 + 2f32.powi(-8), 1.0 + 2f32.powi(-8) + 2f32.powi(-20), -3.0e38];
        for (x, expected) in a.into_iter().zip([1.0, 1.0 + 2f32.powi(-7), -3.0e38]) {
            let one = Packed::of_rows(&[1.0], [1, 1]).expect("supported");
            let mut c = [0.0];
            one.add_product(&mut c, &[x]);
            assert_eq!(c[0], half::bf16::from_f32(expected).to_f32());
        }
    }
}
