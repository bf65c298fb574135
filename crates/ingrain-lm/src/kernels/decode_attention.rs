//! Attention of new tokens against the preallocated cache, read where it lies.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{self, Size, Strided};
use super::{simd, skinny};

/// The keys and values of one layer, `[slots, kv_heads, capacity, dim]` each.
pub(crate) struct Cached<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    /// The slot that each query reads, and how many of its columns are visible.
    pub(crate) queries: &'a [(usize, usize)],
    pub(crate) kv_heads: usize,
    pub(crate) capacity: usize,
    pub(crate) dim: usize,
}

/// `q`: `[queries, heads, dim]`, to the same shape.
///
/// # Panics
/// If a slice does not have the length that its shape asks for.
pub(crate) fn attend(q: &[f32], heads: usize, cached: &Cached<'_>) -> Vec<f32> {
    let Cached { keys, values, queries, kv_heads, capacity, dim } = *cached;
    assert_eq!(heads % kv_heads, 0, "query heads come in groups, one a key head");
    let group = heads / kv_heads;
    let plane = capacity * dim;
    assert_eq!(q.len(), queries.len() * heads * dim, "a slot for each query");
    assert_eq!(keys.len(), values.len(), "as many values as keys");
    let mut out = vec![0.0; q.len()];
    out.par_chunks_mut(group * dim).zip(q.par_chunks(group * dim)).enumerate().for_each(
        |(index, (out, q))| {
            let (slot, len) = queries[index / kv_heads];
            assert!(len <= capacity, "the visible columns fit the cache");
            let at = (slot * kv_heads + index % kv_heads) * plane;
            simd::dispatch(Head {
                q,
                keys: &keys[at..at + len * dim],
                values: &values[at..at + len * dim],
                dim,
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
    /// `[group, dim]`, zero.
    out: &'a mut [f32],
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { q, keys, values, dim, out } = self;
        let (rows, seen) = (q.len() / dim, keys.len() / dim);
        let scale = (dim as f32).powf(-0.5);
        let mut scores = vec![0.0; rows * seen];
        let mut parts: Vec<&mut [f32]> = scores.chunks_mut(seen.max(1)).collect();
        skinny::run(simd, q, keys, dim, scale, &mut parts);
        for (scores, out) in scores.chunks_mut(seen.max(1)).zip(out.chunks_mut(dim)) {
            let max = simd::max(simd, scores);
            let total = simd::exp_shifted(simd, scores, max);
            let size = Size { rows: 1, width: dim, depth: seen };
            let weights = Strided::rows(scores, seen);
            panel::accumulate(simd, size, weights, (values, dim), (&mut *out, dim));
            simd::scale(simd, out, total.recip());
        }
    }
}
