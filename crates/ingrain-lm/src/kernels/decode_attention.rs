//! Attention of one new token a row against the preallocated cache, read where it lies.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{self, Size, Strided};
use super::{simd, skinny};

/// The keys and values of one layer, `[batch, kv_heads, capacity, dim]` each.
pub(crate) struct Cached<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    /// Which cache row each row of queries reads.
    pub(crate) rows: &'a [usize],
    pub(crate) kv_heads: usize,
    pub(crate) capacity: usize,
    pub(crate) dim: usize,
    /// Columns in use, the new token's included.
    pub(crate) len: usize,
}

/// `q`: `[batch, heads, dim]`, to the same shape.
///
/// `hidden` names, row by row, the columns that hold padding; empty hides nothing anywhere.
///
/// # Panics
/// If a slice does not have the length that its shape asks for.
pub(crate) fn attend(
    q: &[f32],
    heads: usize,
    cached: &Cached<'_>,
    hidden: &[Range<usize>],
) -> Vec<f32> {
    let Cached { keys, values, rows, kv_heads, capacity, dim, len } = *cached;
    assert_eq!(heads % kv_heads, 0, "query heads come in groups, one a key head");
    assert!(len <= capacity, "the columns in use fit the cache");
    let group = heads / kv_heads;
    let plane = capacity * dim;
    assert_eq!(q.len(), rows.len() * heads * dim, "one cache row for each row of queries");
    assert_eq!(keys.len(), values.len(), "as many values as keys");
    let mut out = vec![0.0; q.len()];
    out.par_chunks_mut(group * dim).zip(q.par_chunks(group * dim)).enumerate().for_each(
        |(index, (out, q))| {
            let gap = hidden.get(index / kv_heads).cloned().unwrap_or(0..0);
            let (start, end) = (gap.start.min(len), gap.end.clamp(gap.start.min(len), len));
            let at = (rows[index / kv_heads] * kv_heads + index % kv_heads) * plane;
            simd::dispatch(Head {
                q,
                keys: &keys[at..at + len * dim],
                values: &values[at..at + len * dim],
                dim,
                visible: [0..start, end..len],
                out,
            });
        },
    );
    out
}

/// The queries that share one key head of one row.
struct Head<'a> {
    /// `[group, dim]`
    q: &'a [f32],
    /// `[len, dim]`
    keys: &'a [f32],
    values: &'a [f32],
    dim: usize,
    visible: [Range<usize>; 2],
    /// `[group, dim]`, zero.
    out: &'a mut [f32],
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { q, keys, values, dim, visible, out } = self;
        let rows = q.len() / dim;
        let seen: usize = visible.iter().map(|range| range.len()).sum();
        let scale = (dim as f32).powf(-0.5);
        let mut scores = vec![0.0; rows * seen];
        let mut first = 0;
        for range in &visible {
            let keys = &keys[range.start * dim..range.end * dim];
            let mut parts: Vec<&mut [f32]> = Vec::with_capacity(rows);
            for row in scores.chunks_mut(seen.max(1)) {
                parts.push(&mut row[first..first + range.len()]);
            }
            skinny::run(simd, q, keys, dim, scale, &mut parts);
            first += range.len();
        }
        for (scores, out) in scores.chunks_mut(seen.max(1)).zip(out.chunks_mut(dim)) {
            let max = simd::max(simd, scores);
            let total = simd::exp_shifted(simd, scores, max);
            let mut first = 0;
            for range in &visible {
                let size = Size { rows: 1, width: dim, depth: range.len() };
                let weights = Strided::rows(&scores[first..first + range.len()], range.len());
                let values = &values[range.start * dim..range.end * dim];
                panel::accumulate(simd, size, weights, (values, dim), (&mut *out, dim));
                first += range.len();
            }
            simd::scale(simd, out, total.recip());
        }
    }
}
