//! Log-probability of one target a row, and its unit gradient, from logits made part by part.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::bf16::HalfWeight;
use super::matmul::{Matrix, add_product, set_product};
use super::{simd, softcap};

/// Logits that are there at once: 6 MiB. Eight times as many are no faster (docs/LOG.md).
const LOGITS: usize = 1536 * 1024;
/// Rows that share one reading of the head in f32. Each product packs the head anew, which for few rows costs as
/// much as the product where the width is a multiple of a page (docs/LOG.md).
const ROWS: usize = 1024;
/// Rows of whole logits, for a head that is packed for good: few enough that they stay in reach of the
/// last-level cache, enough that the product over the vocabulary runs at full speed.
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

impl Problem<'_> {
    /// The same for some of the tokens.
    fn of(self, tokens: Range<usize>) -> Self {
        let (targets, width) = (&self.targets[tokens.clone()], self.width);
        Self { hidden: &self.hidden[tokens.start * width..tokens.end * width], targets, ..self }
    }
}

/// `log softmax(hidden head^T)[target]` of every row and, if asked, its derivative with respect to the
/// row of `hidden`.
pub(crate) fn forward(problem: Problem<'_>, with_unit: bool) -> (Vec<f32>, Option<Vec<f32>>) {
    let Problem { hidden, half, width, targets, .. } = problem;
    let mut values = vec![0.0; targets.len()];
    let mut unit = with_unit.then(|| vec![0.0; hidden.len()]);
    let rows = if half.is_some() { CHUNK } else { ROWS };
    let mut logits = Vec::new();
    for start in (0..targets.len()).step_by(rows) {
        let tokens = start..targets.len().min(start + rows);
        let values = &mut values[tokens.clone()];
        let unit = unit.as_mut().map(|unit| &mut unit[start * width..tokens.end * width]);
        match half {
            Some(half) => all_words(problem.of(tokens), half, &mut logits, values, unit),
            None => words_by_words(problem.of(tokens), &mut logits, values, unit),
        }
    }
    (values, unit)
}

/// Over the logits of all words at once, in a buffer for them.
fn all_words(
    problem: Problem<'_>,
    half: &HalfWeight,
    logits: &mut Vec<f32>,
    values: &mut [f32],
    unit: Option<&mut [f32]>,
) {
    let Problem { hidden, head, width, targets, softcap, .. } = problem;
    let vocab = head.len() / width;
    let with_unit = unit.is_some();
    logits.clear();
    logits.resize(targets.len() * vocab, 0.0);
    half.forward.add_product(logits, hidden);
    logits.par_chunks_mut(vocab).zip(values).zip(targets).for_each(|((logits, value), &target)| {
        *value = simd::dispatch(Row { logits, target, softcap, with_unit });
    });
    if let Some(unit) = unit {
        // The rows now hold the derivative with respect to the logits.
        half.add_backward(head, unit, logits);
    }
}

/// Over some words after the others: the largest logit so far is subtracted, and what was summed is scaled
/// when there is a larger one.
fn words_by_words(
    problem: Problem<'_>,
    logits: &mut Vec<f32>,
    values: &mut [f32],
    mut unit: Option<&mut [f32]>,
) {
    let Problem { hidden, head, width, targets, softcap, .. } = problem;
    let words = (LOGITS / targets.len().max(1)).clamp(1, head.len() / width);
    let hidden = Matrix::new(hidden, width);
    let mut sums: Vec<Sum> = targets.iter().map(|&target| Sum::of(target)).collect();
    logits.resize(targets.len() * words, 0.0);
    for (index, part) in head.chunks(words * width).enumerate() {
        let (first, here) = (index * words, part.len() / width);
        let logits = &mut logits[..targets.len() * here];
        let part = Matrix::new(part, width);
        set_product(logits, hidden, part.transposed());
        let rows = logits.par_chunks_mut(here).zip(&mut sums);
        let Some(unit) = &mut unit else {
            rows.for_each(|(logits, sum)| {
                simd::dispatch(Part { sum, logits, first, softcap, unit: None });
            });
            continue;
        };
        rows.zip(unit.par_chunks_mut(width)).for_each(|((logits, sum), unit)| {
            simd::dispatch(Part { sum, logits, first, softcap, unit: Some(unit) });
        });
        add_product(unit, 1.0, Matrix::new(logits, here), part);
    }
    for (value, sum) in values.iter_mut().zip(&sums) {
        *value = sum.value();
    }
    if let Some(unit) = unit {
        unit.par_chunks_mut(width).zip(&sums).for_each(|(unit, sum)| {
            let target = &head[sum.target * width..][..width];
            let scale = sum.total.recip();
            let slope = softcap.map_or(1.0, |cap| softcap::slope(sum.chosen, cap));
            unit.iter_mut().zip(target).for_each(|(u, w)| *u = slope * w - scale * *u);
        });
    }
}

/// What is known of a row after some of its words.
struct Sum {
    target: usize,
    /// The largest logit.
    max: f32,
    /// `sum exp(z - max)`.
    total: f32,
    /// The target's logit.
    chosen: f32,
}

impl Sum {
    fn of(target: usize) -> Self {
        Self { target, max: f32::NEG_INFINITY, total: 0.0, chosen: 0.0 }
    }

    /// `log softmax(z)[target]`, after all words.
    fn value(&self) -> f32 {
        self.chosen - self.max - self.total.ln()
    }
}

/// Some words of a row.
struct Part<'a> {
    sum: &'a mut Sum,
    /// In: the logits before capping. Out, where there is a unit gradient: `exp(z - max)`, times the slope of
    /// the cap.
    logits: &'a mut [f32],
    /// The first of these words.
    first: usize,
    softcap: Option<f32>,
    /// `sum exp(z - max) W` over the words before these, scaled if these hold a larger logit.
    unit: Option<&'a mut [f32]>,
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sum, logits, first, softcap, unit } = self;
        if let Some(cap) = softcap {
            softcap::apply(logits, cap);
        }
        if let Some(&chosen) = sum.target.checked_sub(first).and_then(|at| logits.get(at)) {
            sum.chosen = chosen;
        }
        let max = sum.max.max(simd::max(simd, logits));
        let before = if sum.max == max { 1.0 } else { (sum.max - max).exp() };
        sum.max = max;
        let Some(unit) = unit else {
            sum.total = before * sum.total + simd::sum_exp_shifted(simd, logits, max);
            return;
        };
        let capped = softcap.map(|cap| (cap, logits.to_vec()));
        sum.total = before * sum.total + simd::exp_shifted(simd, logits, max);
        if before < 1.0 {
            simd::scale(simd, unit, before);
        }
        if let Some((cap, capped)) = capped {
            softcap::chain(logits, &capped, cap);
        }
    }
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
            softcap::apply(logits, cap);
        }
        let capped = softcap.filter(|_| with_unit).map(|cap| (cap, logits.to_vec()));
        let chosen = logits[target];
        let max = simd::max(simd, logits);
        let total = match with_unit {
            true => simd::exp_shifted(simd, logits, max),
            false => simd::sum_exp_shifted(simd, logits, max),
        };
        if with_unit {
            simd::scale(simd, logits, -total.recip());
            logits[target] += 1.0;
            if let Some((cap, capped)) = capped {
                softcap::chain(logits, &capped, cap);
            }
        }
        chosen - max - total.ln()
    }
}
