//! Divergence of two distributions over the whole vocabulary, row by row, and its derivative, from
//! logits made chunk by chunk.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::matmul::{Matrix, set_product};
use super::{simd, softcap};
use crate::KlDirection;

/// Rows a chunk: two sets of logits are alive at once.
const CHUNK: usize = 64;

/// Hidden states `[tokens, width]` and the head `[vocab, width]` that reads them.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) hidden: &'a [f32],
    pub(crate) head: &'a [f32],
    pub(crate) width: usize,
    /// `c` where the logits are `c tanh(z / c)`.
    pub(crate) softcap: Option<f32>,
}

impl Side<'_> {
    fn tokens(&self) -> usize {
        self.hidden.len() / self.width
    }

    fn vocab(&self) -> usize {
        self.head.len() / self.width
    }

    /// Logits of some rows.
    fn logits(&self, first: usize, out: &mut [f32]) {
        let rows = out.len() / self.vocab();
        let hidden = &self.hidden[first * self.width..(first + rows) * self.width];
        let head = Matrix::new(self.head, self.width);
        set_product(out, Matrix::new(hidden, self.width), head.transposed());
        if let Some(cap) = self.softcap {
            out.par_chunks_mut(self.vocab()).for_each(|logits| softcap::apply(logits, cap));
        }
    }
}

/// The divergence of every row and, if asked, its derivative with respect to the policy's hidden state.
///
/// Both sides have the same tokens and the same vocabulary.
pub(crate) fn forward(
    policy: Side<'_>,
    reference: Side<'_>,
    direction: KlDirection,
    with_unit: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (tokens, vocab, width) = (policy.tokens(), policy.vocab(), policy.width);
    let rows = CHUNK.min(tokens);
    let (mut p, mut q) = (vec![0.0; rows * vocab], vec![0.0; rows * vocab]);
    let mut values = vec![0.0; tokens];
    let mut unit = with_unit.then(|| vec![0.0; policy.hidden.len()]);
    for first in (0..tokens).step_by(CHUNK) {
        let rows = CHUNK.min(tokens - first);
        let (p, q) = (&mut p[..rows * vocab], &mut q[..rows * vocab]);
        policy.logits(first, p);
        reference.logits(first, q);
        p.par_chunks_mut(vocab)
            .zip(q.par_chunks_mut(vocab))
            .zip(&mut values[first..first + rows])
            .for_each(|((p, q), value)| {
                *value = simd::dispatch(Row { p, q, direction, softcap: policy.softcap })
            });
        if let Some(unit) = &mut unit {
            // The rows of `p` now hold the derivative with respect to the policy's logits.
            let unit = &mut unit[first * width..(first + rows) * width];
            set_product(unit, Matrix::new(p, vocab), Matrix::new(policy.head, width));
        }
    }
    (values, unit)
}

struct Row<'a> {
    /// In: the policy's logits. Out: the derivative of the divergence with respect to them.
    p: &'a mut [f32],
    /// In: the reference's logits. Out: of no use.
    q: &'a mut [f32],
    direction: KlDirection,
    /// The policy's.
    softcap: Option<f32>,
}

impl WithSimd for Row<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let Self { p, q, direction, softcap } = self;
        let capped = softcap.map(|cap| (cap, p.to_vec()));
        let log_total = |logits: &[f32]| {
            let max = simd::max(simd, logits);
            max + simd::sum_exp_shifted(simd, logits, max).ln()
        };
        let (p_total, q_total) = (log_total(p), log_total(q));
        let shift = q_total - p_total;
        let divergence = match direction {
            KlDirection::Reverse => {
                for (q, p) in q.iter_mut().zip(p.iter()) {
                    *q = *p - *q + shift;
                }
                simd::exp_shifted(simd, p, p_total);
                let divergence = simd::dot(simd, p, q);
                for (p, ratio) in p.iter_mut().zip(q.iter()) {
                    *p *= *ratio - divergence;
                }
                divergence
            }
            KlDirection::Forward => {
                let ratio: Vec<f32> =
                    q.iter().zip(p.iter()).map(|(q, p)| *q - *p - shift).collect();
                simd::exp_shifted(simd, q, q_total);
                simd::exp_shifted(simd, p, p_total);
                for (p, q) in p.iter_mut().zip(q.iter()) {
                    *p -= *q;
                }
                simd::dot(simd, q, &ratio)
            }
        };
        if let Some((cap, capped)) = capped {
            softcap::chain(p, &capped, cap);
        }
        divergence
    }
}
