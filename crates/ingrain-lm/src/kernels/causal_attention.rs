//! Causal grouped-query attention over whole sequences, forward and backward.
//!
//! Activations stay `[batch, seq, heads, dim]`, as the projections leave them. A task takes the queries
//! that share a key head of one sequence; the keys are transposed once for it, and everything else is
//! read where it lies. The probabilities are never kept: the backward pass computes them again from the
//! log-sum-exp of each row.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{self, Size, Strided};
use super::simd;

/// Queries a block: their scores stay in the first-level cache.
const BLOCK: usize = 32;
/// Queries a forward task: short prompts still reach every thread.
const RUN: usize = 4 * BLOCK;
/// Columns of transposed keys are padded to this, so that no instruction set meets a ragged end.
const PAD: usize = 16;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) dim: usize,
}

impl Shape {
    fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    fn scale(self) -> f32 {
        (self.dim as f32).powf(-0.5)
    }

    fn padded(self) -> usize {
        self.seq.next_multiple_of(PAD)
    }

    fn check(self, q: &[f32], k: &[f32], v: &[f32]) {
        assert_eq!(self.heads % self.kv_heads, 0, "query heads come in groups, one a key head");
        let tokens = self.batch * self.seq;
        assert_eq!(q.len(), tokens * self.heads * self.dim, "q is [batch, seq, heads, dim]");
        assert_eq!(k.len(), tokens * self.kv_heads * self.dim, "k is [batch, seq, kv_heads, dim]");
        assert_eq!(k.len(), v.len(), "v has the shape of k");
    }
}

/// Where one head's values lie in `[seq, heads, dim]`: those of a token start at `row * width + at`.
#[derive(Clone, Copy)]
struct Lane<'a> {
    values: &'a [f32],
    width: usize,
    at: usize,
}

impl<'a> Lane<'a> {
    fn new(all: &'a [f32], shape: Shape, heads: usize, batch: usize, head: usize) -> Self {
        let width = heads * shape.dim;
        let values = &all[batch * shape.seq * width..(batch + 1) * shape.seq * width];
        Self { values, width, at: head * shape.dim }
    }

    /// From token `row` on.
    fn from(self, row: usize) -> &'a [f32] {
        &self.values[row * self.width + self.at..]
    }
}

/// `q`, `k`, `v` to the output, `[batch, seq, heads, dim]`, and the log-sum-exp of every row of scaled
/// scores, `[batch, heads, seq]`.
///
/// # Panics
/// If a slice does not have the length that `shape` asks for.
pub(crate) fn forward(q: &[f32], k: &[f32], v: &[f32], shape: Shape) -> (Vec<f32>, Vec<f32>) {
    shape.check(q, k, v);
    let mut out = vec![0.0; q.len()];
    let mut lse = vec![0.0; shape.batch * shape.heads * shape.seq];
    if out.is_empty() {
        return (out, lse);
    }
    let mut tasks = Vec::new();
    let lanes = lanes(&mut out, shape, shape.group() * shape.dim);
    for ((index, mut lane), lse) in
        lanes.into_iter().enumerate().zip(lse.chunks_mut(shape.group() * shape.seq))
    {
        let (batch, kv) = (index / shape.kv_heads, index % shape.kv_heads);
        let mut lse: Vec<_> = lse.chunks_mut(shape.seq).map(|l| l.chunks_mut(RUN)).collect();
        for first in (0..shape.seq).step_by(RUN) {
            let rest = lane.split_off(lane.len().min(RUN));
            let out = std::mem::replace(&mut lane, rest);
            let lse = lse.iter_mut().filter_map(Iterator::next).collect();
            tasks.push(Forward { q, k, v, shape, batch, kv, first, out, lse });
        }
    }
    tasks.into_par_iter().with_max_len(1).for_each(simd::dispatch);
    (out, lse)
}

/// For each key head of each sequence, its columns of `[batch, seq, kv_heads, part]`: one slice a token.
fn lanes(values: &mut [f32], shape: Shape, part: usize) -> Vec<Vec<&mut [f32]>> {
    let mut lanes: Vec<Vec<&mut [f32]>> =
        (0..shape.batch * shape.kv_heads).map(|_| Vec::with_capacity(shape.seq)).collect();
    for (index, slice) in values.chunks_mut(part).enumerate() {
        let (token, kv) = (index / shape.kv_heads, index % shape.kv_heads);
        lanes[token / shape.seq * shape.kv_heads + kv].push(slice);
    }
    lanes
}

struct Forward<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    shape: Shape,
    batch: usize,
    kv: usize,
    /// The first query, and for each from there its outputs `[group, dim]`.
    first: usize,
    out: Vec<&'a mut [f32]>,
    /// For each head of the group, one a query.
    lse: Vec<&'a mut [f32]>,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { q, k, v, shape, batch, kv, first, mut out, mut lse } = self;
        let (dim, padded) = (shape.dim, shape.padded());
        let end = first + out.len();
        let keys =
            transpose(Lane::new(k, shape, shape.kv_heads, batch, kv), end, shape, shape.scale());
        let values = Lane::new(v, shape, shape.kv_heads, batch, kv);
        let (mut scores, mut mixed) = (vec![0.0; BLOCK * padded], vec![0.0; BLOCK * dim]);
        for member in 0..shape.group() {
            let q = Lane::new(q, shape, shape.heads, batch, kv * shape.group() + member);
            for start in (first..end).step_by(BLOCK) {
                let rows = BLOCK.min(end - start);
                block_scores(simd, q, start, rows, &keys, &mut scores, shape);
                mixed.fill(0.0);
                let block = scores.chunks_mut(padded).zip(&mut lse[member][start - first..]);
                let mut totals = [1.0; BLOCK];
                for ((row, (scores, lse)), total) in block.take(rows).enumerate().zip(&mut totals) {
                    let (seen, unseen) = scores.split_at_mut(start + row + 1);
                    let max = simd::max(simd, seen);
                    *total = simd::exp_shifted(simd, seen, max);
                    *lse = max + total.ln();
                    unseen[..start + rows - start - row - 1].fill(0.0);
                }
                let size = Size { rows, width: dim, depth: start + rows };
                let weights = Strided::rows(&scores, padded);
                panel::accumulate(
                    simd,
                    size,
                    weights,
                    (values.from(0), values.width),
                    (&mut mixed, dim),
                );
                let mixed = mixed.chunks_exact_mut(dim).zip(totals);
                for ((mixed, total), out) in mixed.zip(&mut out[start - first..]).take(rows) {
                    simd::scale(simd, mixed, total.recip());
                    out[member * dim..(member + 1) * dim].copy_from_slice(mixed);
                }
            }
        }
    }
}

/// Scores of `rows` queries from `start` on against all the keys that the last of them sees.
#[inline(always)]
fn block_scores<S: Simd>(
    simd: S,
    q: Lane<'_>,
    start: usize,
    rows: usize,
    keys: &[f32],
    scores: &mut [f32],
    shape: Shape,
) {
    let padded = shape.padded();
    let width = (start + rows).next_multiple_of(PAD);
    for scores in scores.chunks_mut(padded).take(rows) {
        scores[..width].fill(0.0);
    }
    let size = Size { rows, width, depth: shape.dim };
    let queries = Strided::rows(q.from(start), q.width);
    panel::accumulate(simd, size, queries, (keys, padded), (scores, padded));
}

/// The first `end` rows of a lane as `[dim, padded]`, times `scale`.
fn transpose(lane: Lane<'_>, end: usize, shape: Shape, scale: f32) -> Vec<f32> {
    let padded = shape.padded();
    let mut columns = vec![0.0; shape.dim * padded];
    // Sixteen tokens at a time: their line of every column is filled before it leaves the cache.
    for first in (0..end).step_by(PAD) {
        for (d, column) in columns.chunks_exact_mut(padded).enumerate() {
            for (token, x) in column[first..end.min(first + PAD)].iter_mut().enumerate() {
                *x = lane.values[(first + token) * lane.width + lane.at + d] * scale;
            }
        }
    }
    columns
}

/// What [`forward`] took and gave, for [`backward`].
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    pub(crate) out: &'a [f32],
    pub(crate) lse: &'a [f32],
}

/// Derivatives with respect to `q`, `k` and `v`, from that of the output.
///
/// With `P` the probabilities and `D = rowsum(dO * O)`: `dV = P^T dO`, `dS = P * (dO V^T - D)`,
/// `dQ = dS K * scale`, `dK = dS^T Q * scale`.
///
/// Source: Dao 2023, arXiv:2307.08691, section 3.1.
///
/// # Panics
/// If a slice does not have the length that `shape` asks for.
pub(crate) fn backward(saved: Saved<'_>, d_out: &[f32], shape: Shape) -> [Vec<f32>; 3] {
    let Saved { q, k, v, .. } = saved;
    shape.check(q, k, v);
    assert_eq!(d_out.len(), q.len(), "the output has the shape of q");
    let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
    if dq.is_empty() {
        return [dq, dk, dv];
    }
    let tasks: Vec<Backward<'_>> = lanes(&mut dq, shape, shape.group() * shape.dim)
        .into_iter()
        .zip(lanes(&mut dk, shape, shape.dim))
        .zip(lanes(&mut dv, shape, shape.dim))
        .enumerate()
        .map(|(index, ((dq, dk), dv))| {
            let (batch, kv) = (index / shape.kv_heads, index % shape.kv_heads);
            Backward { saved, d_out, shape, batch, kv, dq, dk, dv }
        })
        .collect();
    tasks.into_par_iter().with_max_len(1).for_each(simd::dispatch);
    [dq, dk, dv]
}

struct Backward<'a> {
    saved: Saved<'a>,
    d_out: &'a [f32],
    shape: Shape,
    batch: usize,
    kv: usize,
    dq: Vec<&'a mut [f32]>,
    dk: Vec<&'a mut [f32]>,
    dv: Vec<&'a mut [f32]>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { saved, d_out, shape, batch, kv, mut dq, dk, dv } = self;
        let (seq, dim, padded) = (shape.seq, shape.dim, shape.padded());
        let lane = |all, head| Lane::new(all, shape, shape.heads, batch, head);
        let keys = Lane::new(saved.k, shape, shape.kv_heads, batch, kv);
        let values = Lane::new(saved.v, shape, shape.kv_heads, batch, kv);
        let keys_t = transpose(keys, seq, shape, shape.scale());
        let values_t = transpose(values, seq, shape, 1.0);
        let (mut dk_sum, mut dv_sum) = (vec![0.0; seq * dim], vec![0.0; seq * dim]);
        let (mut p, mut ds) = (vec![0.0; BLOCK * padded], vec![0.0; BLOCK * padded]);
        let mut dq_block = vec![0.0; BLOCK * dim];
        for member in 0..shape.group() {
            let head = kv * shape.group() + member;
            let (q, out, d_out) = (lane(saved.q, head), lane(saved.out, head), lane(d_out, head));
            let lse = &saved.lse[(batch * shape.heads + head) * seq..][..seq];
            for start in (0..seq).step_by(BLOCK) {
                let rows = BLOCK.min(seq - start);
                let end = start + rows;
                block_scores(simd, q, start, rows, &keys_t, &mut p, shape);
                block_scores(simd, d_out, start, rows, &values_t, &mut ds, shape);
                for (row, (p, ds)) in
                    p.chunks_mut(padded).zip(ds.chunks_mut(padded)).take(rows).enumerate()
                {
                    let (seen, unseen) = p[..end].split_at_mut(start + row + 1);
                    simd::exp_shifted(simd, seen, lse[start + row]);
                    unseen.fill(0.0);
                    let (out, d_out) = (out.from(start + row), d_out.from(start + row));
                    let mean = simd::dot(simd, &out[..dim], &d_out[..dim]);
                    simd::shift_and_multiply(simd, &mut ds[..end], -mean, &p[..end]);
                }
                let down = Size { rows: end, width: dim, depth: rows };
                let (p, ds) = (Strided::columns(&p, padded), Strided::columns(&ds, padded));
                let d_out = (d_out.from(start), d_out.width);
                panel::accumulate(simd, down, p, d_out, (&mut dv_sum, dim));
                panel::accumulate(simd, down, ds, (q.from(start), q.width), (&mut dk_sum, dim));
                dq_block.fill(0.0);
                let across = Size { rows, width: dim, depth: end };
                let k = (keys.from(0), keys.width);
                panel::accumulate(simd, across, ds.transposed(), k, (&mut dq_block, dim));
                simd::scale(simd, &mut dq_block, shape.scale());
                for (block, dq) in dq_block.chunks_exact(dim).zip(&mut dq[start..end]) {
                    dq[member * dim..(member + 1) * dim].copy_from_slice(block);
                }
            }
        }
        simd::scale(simd, &mut dk_sum, shape.scale());
        for (sum, dk) in dk_sum.chunks_exact(dim).zip(dk) {
            dk.copy_from_slice(sum);
        }
        for (sum, dv) in dv_sum.chunks_exact(dim).zip(dv) {
            dv.copy_from_slice(sum);
        }
    }
}
