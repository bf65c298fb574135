//! Root-mean-square normalisation, forward and backward.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::simd;

/// Rows a task.
const RUN: usize = 16;

/// `y = x * s * weight` with `s = 1 / sqrt(mean(x^2) + eps)`; returns `y` and `s`, one a row.
pub(crate) fn forward(x: &[f32], weight: &[f32], eps: f64) -> (Vec<f32>, Vec<f32>) {
    let hidden = weight.len();
    let (mut y, mut scales) = (vec![0.0; x.len()], vec![0.0; x.len() / hidden]);
    y.par_chunks_mut(RUN * hidden)
        .zip(scales.par_chunks_mut(RUN))
        .zip(x.par_chunks(RUN * hidden))
        .for_each(|((y, scales), x)| simd::dispatch(Forward { x, weight, eps, y, scales }));
    (y, scales)
}

/// The same `y` from the `scales` that [`forward`] returned.
pub(crate) fn again(x: &[f32], weight: &[f32], scales: &[f32]) -> Vec<f32> {
    let hidden = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(RUN * hidden)
        .zip(scales.par_chunks(RUN))
        .zip(x.par_chunks(RUN * hidden))
        .for_each(|((y, scales), x)| simd::dispatch(Again { x, weight, scales, y }));
    y
}

/// Adds the derivative with respect to `x` to `dx`.
///
/// With `g = dy * weight`: `dx += s g - x s^3 mean(g x)`.
pub(crate) fn backward(x: &[f32], weight: &[f32], scales: &[f32], dy: &[f32], dx: &mut [f32]) {
    let hidden = weight.len();
    dx.par_chunks_mut(RUN * hidden)
        .zip(scales.par_chunks(RUN))
        .zip(x.par_chunks(RUN * hidden).zip(dy.par_chunks(RUN * hidden)))
        .for_each(|((dx, scales), (x, dy))| {
            simd::dispatch(Backward { x, weight, scales, dy, dx });
        });
}

struct Forward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f64,
    y: &'a mut [f32],
    scales: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let hidden = self.weight.len();
        let rows = self.x.chunks_exact(hidden).zip(self.y.chunks_exact_mut(hidden));
        for ((x, y), scale) in rows.zip(self.scales) {
            let mean = f64::from(simd::dot(simd, x, x)) / hidden as f64;
            *scale = (mean + self.eps).sqrt().recip() as f32;
            scaled(simd, x, self.weight, *scale, y);
        }
    }
}

struct Again<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    scales: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Again<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let hidden = self.weight.len();
        let rows = self.x.chunks_exact(hidden).zip(self.y.chunks_exact_mut(hidden));
        for ((x, y), scale) in rows.zip(self.scales) {
            scaled(simd, x, self.weight, *scale, y);
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    scales: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let hidden = self.weight.len();
        let mut g = vec![0.0; hidden];
        let rows = self.x.chunks_exact(hidden).zip(self.dy.chunks_exact(hidden));
        for ((x, dy), (scale, dx)) in
            rows.zip(self.scales.iter().zip(self.dx.chunks_exact_mut(hidden)))
        {
            scaled(simd, dy, self.weight, *scale, &mut g);
            let along = simd::dot(simd, &g, x) * scale * scale / hidden as f32;
            simd::add_two(simd, dx, (1.0, &g), (-along, x));
        }
    }
}

/// `y = x * weight * scale`.
#[inline(always)]
fn scaled<S: Simd>(simd: S, x: &[f32], weight: &[f32], scale: f32, y: &mut [f32]) {
    let by = simd.splat_f32s(scale);
    let ((x, x_tail), (w, w_tail)) = (S::as_simd_f32s(x), S::as_simd_f32s(weight));
    let (y, y_tail) = S::as_mut_simd_f32s(y);
    for ((x, w), y) in x.iter().zip(w).zip(y) {
        *y = simd.mul_f32s(simd.mul_f32s(*x, by), *w);
    }
    for ((x, w), y) in x_tail.iter().zip(w_tail).zip(y_tail) {
        *y = x * scale * w;
    }
}
