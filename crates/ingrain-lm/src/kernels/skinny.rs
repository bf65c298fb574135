//! `y += scale * x W^T` for a handful of rows of `x`: what a decoding step is made of.
//!
//! `W` is read once, row by row as it is stored, so a single row of `x` runs at the speed of memory;
//! tiles of four weight rows by four rows of `x` keep the arithmetic ahead of it for more. A general
//! matrix product packs `W` first, which costs more than the product itself at these sizes.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::simd;

/// Beyond this many rows of `x` a general matrix product is faster.
pub(crate) const MAX_ROWS: usize = 32;

/// Weight rows of one register tile.
const TILE: usize = 4;

/// One product of a group that shares a pass over the threads.
pub(crate) struct Product<'a> {
    /// `[rows, inputs]`
    pub(crate) x: &'a [f32],
    /// `[outputs, inputs]`
    pub(crate) weight: &'a [f32],
    pub(crate) inputs: usize,
    pub(crate) scale: f32,
    /// `[rows, outputs]`, added to.
    pub(crate) y: &'a mut [f32],
}

/// Runs several products of `rows` rows each as one parallel pass.
///
/// # Panics
/// If a slice does not have the length that its shape asks for.
pub(crate) fn accumulate(rows: usize, products: Vec<Product<'_>>) {
    let total: usize = products.iter().map(|p| p.weight.len()).sum();
    // Enough blocks that a thread which loses its core for a while does not hold up the others.
    let block = (total / (8 * rayon::current_num_threads())).clamp(8 << 10, 128 << 10);
    let blocks: Vec<Block<'_>> =
        products.into_iter().flat_map(|product| split(rows, product, block)).collect();
    if blocks.len() == 1 {
        blocks.into_iter().for_each(simd::dispatch);
    } else {
        blocks.into_par_iter().with_max_len(1).for_each(simd::dispatch);
    }
}

/// Cuts a product into runs of weight rows of about `values` weights.
fn split(rows: usize, product: Product<'_>, values: usize) -> Vec<Block<'_>> {
    let Product { x, weight, inputs, scale, y } = product;
    let outputs = weight.len() / inputs.max(1);
    assert_eq!(x.len(), rows * inputs, "x is [rows, inputs]");
    assert_eq!(weight.len(), outputs * inputs, "the weight is [outputs, inputs]");
    assert_eq!(y.len(), rows * outputs, "y is [rows, outputs]");
    if y.is_empty() || inputs == 0 {
        return Vec::new();
    }
    let run = (values / inputs).next_multiple_of(TILE).max(TILE);
    let mut blocks: Vec<Block<'_>> = weight
        .chunks(run * inputs)
        .map(|weight| Block { x, weight, inputs, scale, y: Vec::with_capacity(rows) })
        .collect();
    for row in y.chunks_mut(outputs) {
        for (part, block) in row.chunks_mut(run).zip(&mut blocks) {
            block.y.push(part);
        }
    }
    blocks
}

/// A run of weight rows, and for each row of `x` the outputs that they make.
struct Block<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    inputs: usize,
    scale: f32,
    y: Vec<&'a mut [f32]>,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, inputs, scale, mut y } = self;
        run(simd, x, weight, inputs, scale, &mut y);
    }
}

/// `y[i][j] += scale * x[i] . weight[j]`, on this thread.
#[inline(always)]
pub(crate) fn run<S: Simd>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    inputs: usize,
    scale: f32,
    y: &mut [&mut [f32]],
) {
    let mut first = 0;
    let (mut tile, mut rest) = weight.split_at(weight.len().min(TILE * inputs));
    while !tile.is_empty() {
        let next;
        (next, rest) = rest.split_at(rest.len().min(TILE * inputs));
        prefetch(next);
        if tile.len() == TILE * inputs {
            let mut weights = [tile; TILE];
            for (weight, row) in weights.iter_mut().zip(tile.chunks_exact(inputs)) {
                *weight = row;
            }
            against_rows(simd, weights, x, first, scale, y);
        } else {
            for (i, weight) in tile.chunks_exact(inputs).enumerate() {
                against_rows(simd, [weight], x, first + i, scale, y);
            }
        }
        first += TILE;
        tile = next;
    }
}

/// Asks for a tile while the one before it is worked on.
///
/// The hardware's own prefetcher starts anew with every row: without this, one row of `x` runs at 33 of
/// the 57 GB/s that a plain parallel read reaches here, with it at 54.
#[inline(always)]
fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(
            unsafe_code,
            reason = "a hint: it reads nothing, and the address is in a live slice"
        )]
        // SAFETY: `_mm_prefetch` needs SSE, which x86_64 always has, and dereferences nothing.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// `W` weight rows against all rows of `x`, in register tiles.
#[inline(always)]
fn against_rows<S: Simd, const W: usize>(
    simd: S,
    weights: [&[f32]; W],
    x: &[f32],
    first: usize,
    scale: f32,
    y: &mut [&mut [f32]],
) {
    let inputs = weights[0].len();
    let mut row = 0;
    // Four by four accumulators need more than the sixteen registers of AVX2.
    if S::REGISTER_COUNT >= 32 {
        while y.len() - row >= 4 {
            tile::<S, W, 4>(simd, weights, &x[row * inputs..], scale, first, &mut y[row..]);
            row += 4;
        }
    }
    while y.len() - row >= 2 {
        tile::<S, W, 2>(simd, weights, &x[row * inputs..], scale, first, &mut y[row..]);
        row += 2;
    }
    if row < y.len() {
        tile::<S, W, 1>(simd, weights, &x[row * inputs..], scale, first, &mut y[row..]);
    }
}

/// `W` weight rows against the first `X` rows of `x`.
#[inline(always)]
fn tile<S: Simd, const W: usize, const X: usize>(
    simd: S,
    weights: [&[f32]; W],
    x: &[f32],
    scale: f32,
    first: usize,
    y: &mut [&mut [f32]],
) {
    let mut xs = [x; X];
    for (row, values) in xs.iter_mut().zip(x.chunks_exact(weights[0].len())) {
        *row = values;
    }
    let sums = dots(simd, weights, xs);
    for (sums, y) in sums.iter().zip(y) {
        for (sum, y) in sums.iter().zip(&mut y[first..first + W]) {
            *y += scale * sum;
        }
    }
}

/// All inner products of `W` weight rows with `X` rows of `x`.
// Loops rather than `array::map`: a closure handed to the standard library is compiled without the
// caller's instruction set, and what it calls is then not inlined.
#[inline(always)]
fn dots<S: Simd, const W: usize, const X: usize>(
    simd: S,
    weights: [&[f32]; W],
    xs: [&[f32]; X],
) -> [[f32; W]; X] {
    let mut sums = [[simd.splat_f32s(0.0); W]; X];
    let whole = weights[0].len() / S::F32_LANES * S::F32_LANES;
    let (w_body, w_tail) = halves(weights, whole);
    let (x_body, x_tail) = halves(xs, whole);
    for i in 0..whole / S::F32_LANES {
        let mut w = [simd.splat_f32s(0.0); W];
        for r in 0..W {
            w[r] = S::as_simd_f32s(w_body[r]).0[i];
        }
        for (sums, x) in sums.iter_mut().zip(&x_body) {
            let x = S::as_simd_f32s(x).0[i];
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = simd.mul_add_f32s(w, x, *sum);
            }
        }
    }
    if !w_tail[0].is_empty() {
        for (sums, x) in sums.iter_mut().zip(x_tail) {
            let x = simd.partial_load_f32s(x);
            for (sum, w) in sums.iter_mut().zip(w_tail) {
                *sum = simd.mul_add_f32s(simd.partial_load_f32s(w), x, *sum);
            }
        }
    }
    let mut totals = [[0.0; W]; X];
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = simd.reduce_sum_f32s(sum);
        }
    }
    totals
}

/// The part of each row that fills whole registers, and the rest.
#[inline(always)]
fn halves<const N: usize>(rows: [&[f32]; N], whole: usize) -> ([&[f32]; N], [&[f32]; N]) {
    let (mut body, mut tail) = (rows, rows);
    for i in 0..N {
        (body[i], tail[i]) = rows[i].split_at(whole);
    }
    (body, tail)
}

#[cfg(test)]
mod tests {
    use super::{Product, accumulate};

    /// Values between -1 and 1 that never repeat in step with a shape.
    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
    }

    fn check(rows: usize, inputs: usize, outputs: usize) {
        let (x, weight) = (values(rows * inputs, 1), values(outputs * inputs, 2));
        let start = values(rows * outputs, 3);
        let mut y = start.clone();
        let product = Product { x: &x, weight: &weight, inputs, scale: 0.5, y: &mut y };
        accumulate(rows, vec![product]);
        for (i, y) in y.iter().enumerate() {
            let (row, column) = (i / outputs, i % outputs);
            let pairs = x[row * inputs..][..inputs].iter().zip(&weight[column * inputs..]);
            let sum: f64 = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            let expected = f64::from(start[i]) + 0.5 * sum;
            let off = (f64::from(*y) - expected).abs();
            let most = 1e-5 * expected.abs().max(1.0);
            assert!(off < most, "{rows} x {inputs} to {outputs}, {i}: {y}, expected {expected}");
        }
    }

    #[test]
    fn products_equal_sums_in_double_precision_for_ragged_shapes() {
        for rows in 1..=33 {
            for (inputs, outputs) in [(1, 1), (15, 3), (16, 4), (17, 5), (64, 33), (131, 70)] {
                check(rows, inputs, outputs);
            }
        }
    }

    #[test]
    fn products_large_enough_to_be_split_are_too() {
        for rows in [1, 7] {
            check(rows, 576, 601);
        }
    }

    #[test]
    fn products_of_a_group_do_not_mix() {
        let (x, z) = (values(2 * 5, 1), values(2 * 3, 2));
        let (w, v) = (values(4 * 5, 3), values(2 * 3, 4));
        let mut alone = (vec![0.0; 8], vec![0.0; 4]);
        let mut grouped = alone.clone();
        let wide = |y| Product { x: &x, weight: &w, inputs: 5, scale: 1.0, y };
        let narrow = |y| Product { x: &z, weight: &v, inputs: 3, scale: -2.0, y };
        accumulate(2, vec![wide(&mut alone.0)]);
        accumulate(2, vec![narrow(&mut alone.1)]);
        accumulate(2, vec![wide(&mut grouped.0), narrow(&mut grouped.1)]);
        assert_eq!(grouped, alone);
    }

    #[test]
    #[should_panic(expected = "y is [rows, outputs]")]
    fn a_misshapen_output_is_refused() {
        let mut y = [0.0; 3];
        let product =
            Product { x: &[1.0, 2.0], weight: &[1.0; 4], inputs: 2, scale: 1.0, y: &mut y };
        accumulate(1, vec![product]);
    }
}
