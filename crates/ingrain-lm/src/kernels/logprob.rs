//! Log-probability of one target a row, and its unit gradient, from logits made chunk by chunk.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::bf16::HalfWeight;
use super::matmul::{Matrix, add_product, set_product};
use super::simd;

/// Rows a chunk: few enough that the logits of one stay in reach of the last-level cache, enough that
/// the product over the vocabulary runs at full speed.
const CHUNK: usize = 128;

/// What to compute, over `hidden: [tokens, width]` and a head `[vocab, width]`.
#[derive(Clone, Copy)]
pub(crate) struct Problem<'a> {
    pub(crate) hidden: &'a [f32],
    pub(crate) head: &'a [f32],
    /// The head in bf16, if products are to use it.
    pub(crate) half: Option<&'a HalfWeight>,
    pub(crate) width: usize,
    pub(crate) targets: &'a [usize],
    /// `c` where the logits are `c tanh(z / c)`.
    pub(crate) softcap: Option<f32>,
}

/// `log softmax(hidden head^T)[target]` of every row and, if asked, its derivative with respect to the
/// row of `hidden`.
pub(crate) fn forward(problem: Problem<'_>, with_unit: bool) -> (Vec<f32>, Option<Vec<f32>>) {
    let Problem { hidden, head, half, width, targets, softcap } = problem;
    let vocab = head.len() / width;
    let rows = CHUNK.min(targets.len());
    let mut logits = vec![0.0; rows * vocab];
    let mut values = vec![0.0; targets.len()];
    let mut unit = with_unit.then(|| vec![0.0; hidden.len()]);
    let head_rows = Matrix::new(head, width);
    for (chunk, targets) in targets.chunks(CHUNK).enumerate() {
        let first = chunk * CHUNK;
        let range = first * width..(first + targets.len()) * width;
        let logits = &mut logits[..targets.len() * vocab];
        let hidden = &hidden[range.clone()];
        match half {
            Some(half) => {
                logits.fill(0.0);
                half.forward.add_product(logits, hidden);
            }
            None => set_product(logits, Matrix::new(hidden, width), head_rows.transposed()),
        }
        let values = &mut values[first..first + targets.len()];
        logits.par_chunks_mut(vocab).zip(values).zip(targets).for_each(
            |((logits, value), &target)| {
                *value = simd::dispatch(Row { logits, target, softcap, with_unit });
            },
        );
        if let Some(unit) = &mut unit {
            // The rows now hold the derivative with respect to the logits.
            match half {
                Some(half) => half.add_backward(head, &mut unit[range], logits),
                None => set_product(&mut unit[range], Matrix::new(logits, vocab), head_rows),
            }
        }
    }
    (values, unit)
}

/// For a head that trains: the derivatives with respect to `hidden` and `head`, from that with respect to
/// the values. Logits are made a second time, so that nothing of the size of the vocabulary is kept.
pub(crate) fn backward(problem: Problem<'_>, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let Problem { hidden, head, width, targets, softcap, .. } = problem;
    let vocab = head.len() / width;
    let mut logits = vec![0.0; CHUNK.min(targets.len()) * vocab];
    let (mut dx, mut dw) = (vec![0.0; hidden.len()], vec![0.0; head.len()]);
    let head = Matrix::new(head, width);
    for (chunk, (targets, dy)) in targets.chunks(CHUNK).zip(dy.chunks(CHUNK)).enumerate() {
        let first = chunk * CHUNK;
        let range = first * width..(first + targets.len()) * width;
        let logits = &mut logits[..targets.len() * vocab];
        let hidden = Matrix::new(&hidden[range.clone()], width);
        set_product(logits, hidden, head.transposed());
        logits.par_chunks_mut(vocab).zip(dy).zip(targets).for_each(|((logits, dy), &target)| {
            simd::dispatch(Row { logits, target, softcap, with_unit: true });
            logits.iter_mut().for_each(|slope| *slope *= dy);
        });
        let slopes = Matrix::new(logits, vocab);
        set_product(&mut dx[range], slopes, head);
        add_product(&mut dw, 1.0, slopes.transposed(), hidden);
    }
    (dx, dw)
}

struct Row<'a> {
    /// In: the logits before capping. Out, if asked: the derivative of the value with respect to them.
    logits: &'a mut [f32],
    target: usize,
    softcap: Option<f32>,
    with_unit: bool,
}

impl WithSimd for Row<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let Self { logits, target, softcap, with_unit } = self;
        if let Some(cap) = softcap {
            for z in logits.iter_mut() {
                *z = cap * (*z / cap).tanh();
            }
        }
        let capped = (softcap.is_some() && with_unit).then(|| logits.to_vec());
        let chosen = logits[target];
        let max = simd::max(simd, logits);
        let total = match with_unit {
            true => simd::exp_shifted(simd, logits, max),
            false => simd::sum_exp_shifted(simd, logits, max),
        };
        if with_unit {
            simd::scale(simd, logits, -total.recip());
            logits[target] += 1.0;
            if let (Some(capped), Some(cap)) = (capped, softcap) {
                for (p, z) in logits.iter_mut().zip(capped) {
                    *p *= 1.0 - (z / cap) * (z / cap);
                }
            }
        }
        chosen - max - total.ln()
    }
}
