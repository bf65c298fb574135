//! Products with frozen weights in bf16: packed once, activations rounded on the way in, sums in f32.
//!
//! Processors with AVX-512 BF16 multiply pairs of bf16 at several times the rate of f32. No crate that
//! we know offers that product, so this is one: a panel of 64 columns stays in the second-level cache
//! while the rows pass by, six at a time, their sums in registers over the whole depth of a block.
//! Nothing is packed ([`Packed::of_rows`] returns `None`) on every other processor.

#[cfg(target_arch = "x86_64")]
mod avx512;

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::Dense;

/// Columns of a panel, interleaved: four vectors of sixteen.
const PANEL: usize = 64;
/// Rows that share one pass over a panel.
const TILE: usize = 6;
/// Most rows a task: with a depth of [`BLOCK`] their bf16 values fit the second-level cache.
const RUN: usize = 96;
/// Pairs of a depth that are taken at once: a panel of them is a quarter of a megabyte.
const BLOCK: usize = 1024;
/// Up to this many rows threads share out the columns, so that each weight is read once.
const FEW_ROWS: usize = 64;
/// Products of fewer pairs than this stay on their thread.
const SMALL: usize = 1 << 16;

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
        if rows <= FEW_ROWS {
            return add_few_rows(rows, a, vec![(self, c)]);
        }
        let run = rows.div_ceil(rayon::current_num_threads()).next_multiple_of(TILE).min(RUN);
        c.par_chunks_mut(run * self.columns)
            .zip(a.par_chunks(run * self.depth))
            .for_each(|(c, a)| self.run(c, a));
    }

    /// All columns for some rows, on this thread.
    fn run(&self, c: &mut [f32], a: &[f32]) {
        for block in self.blocks() {
            let panels = 0..self.columns.div_ceil(PANEL);
            self.add_panels(c, self.columns, &self.round(a, block), panels);
        }
    }

    /// The depth in runs of pairs.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let pairs = self.depth.div_ceil(2);
        (0..pairs).step_by(BLOCK).map(move |first| first..pairs.min(first + BLOCK))
    }

    /// A block of the depth of all rows of `a`, in bf16.
    fn round(&self, a: &[f32], pairs: Range<usize>) -> Block {
        let mut halves = Vec::with_capacity(a.len() / self.depth * pairs.len());
        for row in a.chunks_exact(self.depth) {
            round_row(&row[2 * pairs.start..self.depth.min(2 * pairs.end)], &mut halves);
        }
        Block { pairs, halves }
    }

    /// Adds a block's product with some panels to `c`, rows of `stride` that begin at the first of them.
    fn add_panels(&self, c: &mut [f32], stride: usize, block: &Block, panels: Range<usize>) {
        let size = self.depth.div_ceil(2) * PANEL;
        for (at, panel) in panels.enumerate() {
            let values = &self.values[panel * size..(panel + 1) * size];
            let values = &values[block.pairs.start * PANEL..block.pairs.end * PANEL];
            let place = Place { stride, start: at * PANEL };
            add_panel(c, place, &block.halves, block.pairs.len(), values);
        }
    }
}

/// `C += A B` for few rows of one `A` and several `B` of its depth, in one pass over the threads.
pub(super) fn add_few_rows(rows: usize, a: &[f32], products: Vec<(&Packed, &mut [f32])>) {
    let Some((first, _)) = products.first() else { return };
    let blocks: Vec<Block> = first.blocks().map(|block| first.round(a, block)).collect();
    let panels: usize = products.iter().map(|(b, _)| b.columns.div_ceil(PANEL)).sum();
    // Enough tasks that a thread which loses its core for a while does not hold up the others.
    let group = match rows * first.depth.div_ceil(2) * panels * PANEL > SMALL {
        true => panels.div_ceil(8 * rayon::current_num_threads()),
        false => panels,
    };
    let tasks: Vec<FewRows<'_>> =
        products.into_iter().flat_map(|(b, c)| FewRows::split(b, c, group)).collect();
    match tasks.len() {
        1 => tasks.into_iter().for_each(|task| task.run(&blocks)),
        _ => tasks.into_par_iter().with_max_len(1).for_each(|task| task.run(&blocks)),
    }
}

/// Some of the columns of a product of few rows.
struct FewRows<'a> {
    b: &'a Packed,
    panels: Range<usize>,
    /// Of each row of `C`, those columns.
    parts: Vec<&'a mut [f32]>,
}

impl<'a> FewRows<'a> {
    fn split(b: &'a Packed, c: &'a mut [f32], group: usize) -> Vec<Self> {
        let panels = b.columns.div_ceil(PANEL);
        let task = |first| Self { b, panels: first..panels.min(first + group), parts: Vec::new() };
        let mut tasks: Vec<Self> = (0..panels).step_by(group).map(task).collect();
        for row in c.chunks_exact_mut(b.columns) {
            let parts = row.chunks_mut(group * PANEL);
            parts.zip(&mut tasks).for_each(|(part, task)| task.parts.push(part));
        }
        tasks
    }

    fn run(mut self, blocks: &[Block]) {
        let width = self.parts[0].len();
        let mut sums = vec![0.0; self.parts.len() * width];
        for block in blocks {
            self.b.add_panels(&mut sums, width, block, self.panels.clone());
        }
        for (part, sums) in self.parts.iter_mut().zip(sums.chunks_exact(width)) {
            part.iter_mut().zip(sums).for_each(|(c, sum)| *c += sum);
        }
    }
}

/// Some of the depth of some rows.
struct Block {
    pairs: Range<usize>,
    /// `[rows, pairs]`, two bf16 each.
    halves: Vec<u32>,
}

/// Where a panel's sums go: `row * stride + start`, for as many columns as are left of the stride.
#[derive(Clone, Copy)]
struct Place {
    stride: usize,
    start: usize,
}

#[cfg(target_arch = "x86_64")]
use avx512::{add_panel, round_row};

#[cfg(not(target_arch = "x86_64"))]
fn add_panel(_: &mut [f32], _: Place, _: &[u32], _: usize, _: &[u32]) {
    unreachable!("nothing is packed where this product does not run")
}

#[cfg(not(target_arch = "x86_64"))]
fn round_row(_: &[f32], _: &mut Vec<u32>) {
    unreachable!("nothing is packed where this product does not run")
}

/// A frozen weight `W [outputs, inputs]`, packed for the products of both passes.
#[derive(Debug)]
pub struct HalfWeight {
    /// For `x W^T`.
    pub(crate) forward: Packed,
    /// For `dy W`, once somebody trains.
    backward: OnceLock<Option<Packed>>,
}

impl HalfWeight {
    /// Packs a frozen weight `[outputs, inputs]`; `None` where there are no instructions for it, or it is
    /// not f32 on Flex.
    #[must_use]
    pub fn pack(weight: &Tensor<2>) -> Option<Self> {
        let [outputs, inputs] = weight.dims();
        let forward = Packed::of_columns(Dense::read(weight)?.values(), [inputs, outputs])?;
        Some(Self { forward, backward: OnceLock::new() })
    }

    /// `dx += dy W`; `weight` is what was packed.
    pub(crate) fn add_backward(&self, weight: &[f32], dx: &mut [f32], dy: &[f32]) {
        let size = [self.forward.columns, self.forward.depth];
        let packed = self.backward.get_or_init(|| Packed::of_rows(weight, size));
        if let Some(packed) = packed {
            packed.add_product(dx, dy);
        }
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
        for rows in [1, 2, 5, 6, 7, 13, 64, 65, 100, 203] {
            for (depth, columns) in
                [(1, 1), (2, 16), (31, 65), (64, 64), (577, 130), (2051, 3), (130, 2100)]
            {
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
