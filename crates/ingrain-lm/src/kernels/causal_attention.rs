//! Causal grouped-query attention over whole sequences, forward and backward.
//!
//! Activations stay `[batch, seq, heads, dim]`, as the projections leave them. A task takes the queries
//! that share a key head of one sequence; what they look at is copied together once for it, and everything
//! else is read where it lies. The probabilities are never kept: the backward pass computes them again
//! from the log-sum-exp of each row.
//!
//! A row of the batch is one sequence, or two that share their beginning ([`Branch`]): then the second is
//! a [`Strand`] of its own, whose queries see the shared keys and its own.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{self, Size, Strided};
use super::simd;
use crate::batch::Branch;

/// Queries a block: their scores stay in the first-level cache.
const BLOCK: usize = 32;
/// Queries a forward task: short prompts still reach every thread.
const RUN: usize = 4 * BLOCK;
/// Columns of transposed keys are padded to this, so that no instruction set meets a ragged end.
const PAD: usize = 16;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) dim: usize,
    /// For each row, whether it holds two sequences; empty where none does.
    pub(crate) branches: &'a [Option<Branch>],
}

impl Shape<'_> {
    fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    fn scale(self) -> f32 {
        (self.dim as f32).powf(-0.5)
    }

    fn check(self, q: &[f32], k: &[f32], v: &[f32]) {
        assert_eq!(self.heads % self.kv_heads, 0, "query heads come in groups, one a key head");
        let tokens = self.batch * self.seq;
        assert_eq!(q.len(), tokens * self.heads * self.dim, "q is [batch, seq, heads, dim]");
        assert_eq!(k.len(), tokens * self.kv_heads * self.dim, "k is [batch, seq, kv_heads, dim]");
        assert_eq!(k.len(), v.len(), "v has the shape of k");
        let [rows, given] = [self.batch, self.branches.len()];
        assert!(given == 0 || given == rows, "a branch or none for each row");
        let fits = |branch: &Branch| branch.shared <= branch.start && branch.start <= self.seq;
        assert!(self.branches.iter().flatten().all(fits), "a branch lies within its row");
    }

    /// The sequences of a row, in the order of their queries, which fill the row.
    fn strands(self, row: usize) -> impl Iterator<Item = Strand> {
        let branch = self.branches.get(row).copied().flatten();
        let first = branch.map_or(self.seq, |branch| branch.start);
        let second = branch.map(|Branch { shared, start }| Strand {
            first: shared,
            end: shared + self.seq - start,
            skipped: start - shared,
        });
        std::iter::once(Strand { first: 0, end: first, skipped: 0 }).chain(second)
    }
}

/// A sequence within a row: the row's first tokens, then those behind some that are skipped.
#[derive(Clone, Copy)]
struct Strand {
    /// Its first query; tokens before it are queries of another strand.
    first: usize,
    /// Its length, padding included.
    end: usize,
    skipped: usize,
}

impl Strand {
    /// Where a token of the sequence lies in the row.
    fn row(self, token: usize) -> usize {
        if token < self.first { token } else { token + self.skipped }
    }

    /// Columns of what is transposed.
    fn padded(self) -> usize {
        self.end.next_multiple_of(PAD)
    }

    /// Its queries, so many at a time: the first of each run and the one behind the last.
    fn runs(self, len: usize) -> impl Iterator<Item = (usize, usize)> {
        (self.first..self.end).step_by(len).map(move |start| (start, self.end.min(start + len)))
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
    fn new(all: &'a [f32], shape: Shape<'_>, heads: usize, batch: usize, head: usize) -> Self {
        let width = heads * shape.dim;
        let values = &all[batch * shape.seq * width..(batch + 1) * shape.seq * width];
        Self { values, width, at: head * shape.dim }
    }

    /// From token `row` on.
    fn from(self, row: usize) -> &'a [f32] {
        &self.values[row * self.width + self.at..]
    }

    /// The first `end` tokens of a strand as `[end, dim]`.
    fn gather(self, strand: Strand, end: usize, dim: usize) -> Vec<f32> {
        let mut tokens = Vec::with_capacity(end * dim);
        for token in 0..end {
            tokens.extend_from_slice(&self.from(strand.row(token))[..dim]);
        }
        tokens
    }

    /// The same as `[dim, padded]`, times `scale`.
    fn transpose(self, strand: Strand, end: usize, dim: usize, scale: f32) -> Vec<f32> {
        let padded = strand.padded();
        let mut columns = vec![0.0; dim * padded];
        // Sixteen tokens at a time: their line of every column is filled before it leaves the cache.
        for first in (0..end).step_by(PAD) {
            let tokens = first..end.min(first + PAD);
            let mut starts = [0; PAD];
            for (start, token) in starts.iter_mut().zip(tokens.clone()) {
                *start = strand.row(token) * self.width + self.at;
            }
            for (d, column) in columns.chunks_exact_mut(padded).enumerate() {
                for (x, start) in column[tokens.clone()].iter_mut().zip(starts) {
                    *x = self.values[start + d] * scale;
                }
            }
        }
        columns
    }
}

/// `q`, `k`, `v` to the output, `[batch, seq, heads, dim]`, and the log-sum-exp of every row of scaled
/// scores, `[batch, heads, seq]`.
///
/// # Panics
/// If a slice does not have the length that `shape` asks for.
pub(crate) fn forward(q: &[f32], k: &[f32], v: &[f32], shape: Shape<'_>) -> (Vec<f32>, Vec<f32>) {
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
        let mut lse: Vec<_> = lse.chunks_mut(shape.seq).collect();
        for strand in shape.strands(batch) {
            for (first, end) in strand.runs(RUN) {
                let rest = lane.split_off(end - first);
                let out = std::mem::replace(&mut lane, rest);
                let lse = lse.iter_mut().filter_map(|lse| lse.split_off_mut(..end - first));
                let lse = lse.collect();
                tasks.push(Forward { q, k, v, shape, batch, kv, strand, first, out, lse });
            }
        }
    }
    tasks.into_par_iter().with_max_len(1).for_each(simd::dispatch);
    (out, lse)
}

/// For each key head of each sequence, its columns of `[batch, seq, kv_heads, part]`: one slice a token.
fn lanes<'v>(values: &'v mut [f32], shape: Shape<'_>, part: usize) -> Vec<Vec<&'v mut [f32]>> {
    let mut lanes: Vec<Vec<_>> =
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
    shape: Shape<'a>,
    batch: usize,
    kv: usize,
    strand: Strand,
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
        let Self { q, k, v, shape, batch, kv, strand, first, mut out, mut lse } = self;
        let (dim, padded) = (shape.dim, strand.padded());
        let end = first + out.len();
        let keys = Lane::new(k, shape, shape.kv_heads, batch, kv);
        let keys = keys.transpose(strand, end, dim, shape.scale());
        let values = Lane::new(v, shape, shape.kv_heads, batch, kv).gather(strand, end, dim);
        let (mut scores, mut mixed) = (vec![0.0; BLOCK * padded], vec![0.0; BLOCK * dim]);
        for member in 0..shape.group() {
            let q = Lane::new(q, shape, shape.heads, batch, kv * shape.group() + member);
            for start in (first..end).step_by(BLOCK) {
                let rows = BLOCK.min(end - start);
                let size = Size { rows, width: start + rows, depth: dim };
                let queries = Strided::rows(q.from(strand.row(start)), q.width);
                block_scores(simd, size, queries, &keys, (&mut scores, padded));
                mixed.fill(0.0);
                let block = scores.chunks_mut(padded).zip(&mut lse[member][start - first..]);
                let mut totals = [1.0; BLOCK];
                for ((row, (scores, lse)), total) in block.take(rows).enumerate().zip(&mut totals) {
                    let (seen, unseen) = scores.split_at_mut(start + row + 1);
                    let max = simd::max(simd, seen);
                    *total = simd::exp_shifted(simd, seen, max);
                    *lse = max + total.ln();
                    unseen[..rows - row - 1].fill(0.0);
                }
                let size = Size { rows, width: dim, depth: start + rows };
                let weights = Strided::rows(&scores, padded);
                panel::accumulate(simd, size, weights, (&values, dim), (&mut mixed, dim));
                let mixed = mixed.chunks_exact_mut(dim).zip(totals);
                for ((mixed, total), out) in mixed.zip(&mut out[start - first..]).take(rows) {
                    simd::scale(simd, mixed, total.recip());
                    out[member * dim..(member + 1) * dim].copy_from_slice(mixed);
                }
            }
        }
    }
}

/// Scores of a block of queries against as many keys as the last of them sees, the `width`.
#[inline(always)]
fn block_scores<S: Simd>(
    simd: S,
    size: Size,
    queries: Strided<'_>,
    keys: &[f32],
    (scores, padded): (&mut [f32], usize),
) {
    let width = size.width.next_multiple_of(PAD);
    for scores in scores.chunks_mut(padded).take(size.rows) {
        scores[..width].fill(0.0);
    }
    panel::accumulate(simd, Size { width, ..size }, queries, (keys, padded), (scores, padded));
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
pub(crate) fn backward(saved: Saved<'_>, d_out: &[f32], shape: Shape<'_>) -> [Vec<f32>; 3] {
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
    shape: Shape<'a>,
    batch: usize,
    kv: usize,
    dq: Vec<&'a mut [f32]>,
    dk: Vec<&'a mut [f32]>,
    dv: Vec<&'a mut [f32]>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for strand in self.shape.strands(self.batch) {
            self.strand(simd, strand);
        }
    }
}

impl Backward<'_> {
    /// Adds what the queries of one strand contribute.
    #[inline(always)]
    fn strand<S: Simd>(&mut self, simd: S, strand: Strand) {
        let Self { saved, d_out, shape, batch, kv, .. } = *self;
        let (dim, padded, scale) = (shape.dim, strand.padded(), shape.scale());
        let lane = |all, head| Lane::new(all, shape, shape.heads, batch, head);
        let keys = Lane::new(saved.k, shape, shape.kv_heads, batch, kv);
        let values = Lane::new(saved.v, shape, shape.kv_heads, batch, kv);
        let keys_t = keys.transpose(strand, strand.end, dim, scale);
        let values_t = values.transpose(strand, strand.end, dim, 1.0);
        let keys = keys.gather(strand, strand.end, dim);
        let (mut dk_sum, mut dv_sum) = (vec![0.0; keys.len()], vec![0.0; keys.len()]);
        let (mut p, mut ds) = (vec![0.0; BLOCK * padded], vec![0.0; BLOCK * padded]);
        let mut dq_block = vec![0.0; BLOCK * dim];
        for member in 0..shape.group() {
            let head = kv * shape.group() + member;
            let (q, out, d_out) = (lane(saved.q, head), lane(saved.out, head), lane(d_out, head));
            let lse = &saved.lse[(batch * shape.heads + head) * shape.seq..][..shape.seq];
            for (start, end) in strand.runs(BLOCK) {
                let (rows, at) = (end - start, strand.row(start));
                let size = Size { rows, width: end, depth: dim };
                let queries = Strided::rows(q.from(at), q.width);
                block_scores(simd, size, queries, &keys_t, (&mut p, padded));
                let towards = Strided::rows(d_out.from(at), d_out.width);
                block_scores(simd, size, towards, &values_t, (&mut ds, padded));
                for (row, (p, ds)) in
                    p.chunks_mut(padded).zip(ds.chunks_mut(padded)).take(rows).enumerate()
                {
                    let (seen, unseen) = p[..end].split_at_mut(start + row + 1);
                    simd::exp_shifted(simd, seen, lse[at + row]);
                    unseen.fill(0.0);
                    let (out, d_out) = (out.from(at + row), d_out.from(at + row));
                    let mean = simd::dot(simd, &out[..dim], &d_out[..dim]);
                    simd::shift_and_multiply(simd, &mut ds[..end], -mean, &p[..end]);
                }
                let down = Size { rows: end, width: dim, depth: rows };
                let (p, ds) = (Strided::columns(&p, padded), Strided::columns(&ds, padded));
                let d_out = (d_out.from(at), d_out.width);
                panel::accumulate(simd, down, p, d_out, (&mut dv_sum, dim));
                panel::accumulate(simd, down, ds, (q.from(at), q.width), (&mut dk_sum, dim));
                dq_block.fill(0.0);
                let across = Size { rows, width: dim, depth: end };
                panel::accumulate(
                    simd,
                    across,
                    ds.transposed(),
                    (&keys, dim),
                    (&mut dq_block, dim),
                );
                simd::scale(simd, &mut dq_block, scale);
                for (block, dq) in dq_block.chunks_exact(dim).zip(&mut self.dq[at..at + rows]) {
                    dq[member * dim..(member + 1) * dim].copy_from_slice(block);
                }
            }
        }
        simd::scale(simd, &mut dk_sum, scale);
        for (sums, gradients) in [(dk_sum, &mut self.dk), (dv_sum, &mut self.dv)] {
            for (token, sum) in sums.chunks_exact(dim).enumerate() {
                for (all, part) in gradients[strand.row(token)].iter_mut().zip(sum) {
                    *all += part;
                }
            }
        }
    }
}
