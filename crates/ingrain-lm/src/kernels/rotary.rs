//! Rotary position embedding in place, forwards and backwards.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::simd;

/// Tokens a task.
const RUN: usize = 32;

/// Sines and cosines: a row of `dim / 2` of each for every position, tokens taking them in turn.
#[derive(Clone, Copy)]
pub(crate) struct Angles<'a> {
    pub(crate) cos: &'a [f32],
    pub(crate) sin: &'a [f32],
    pub(crate) half: usize,
}

/// Which way to turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// By the angles: the embedding.
    Forward,
    /// By their opposites: its inverse, and so the derivative of whatever follows it.
    Backward,
}

/// Rotates `x: [tokens, heads, dim]`, pairing dimension `i` with `i + dim / 2`.
pub(crate) fn rotate(x: &mut [f32], heads: usize, angles: Angles<'_>, turn: Turn) {
    let width = heads * 2 * angles.half;
    x.par_chunks_mut(RUN * width).enumerate().for_each(|(run, x)| {
        simd::dispatch(Rotate { x, first: run * RUN, width, angles, turn });
    });
}

struct Rotate<'a> {
    x: &'a mut [f32],
    first: usize,
    width: usize,
    angles: Angles<'a>,
    turn: Turn,
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Angles { cos, sin, half } = self.angles;
        let positions = cos.len() / half;
        let sign = if self.turn == Turn::Forward { 1.0 } else { -1.0 };
        for (token, x) in self.x.chunks_exact_mut(self.width).enumerate() {
            let at = (self.first + token) % positions * half;
            let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
            for head in x.chunks_exact_mut(2 * half) {
                let (a, b) = head.split_at_mut(half);
                pair(simd, a, b, cos, sin, sign);
            }
        }
    }
}

/// `(a, b) = (a cos - b sin, b cos + a sin)`, the sines times `sign`.
#[inline(always)]
fn pair<S: Simd>(simd: S, a: &mut [f32], b: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (a, a_tail) = S::as_mut_simd_f32s(a);
    let (b, b_tail) = S::as_mut_simd_f32s(b);
    let ((cos, cos_tail), (sin, sin_tail)) = (S::as_simd_f32s(cos), S::as_simd_f32s(sin));
    let signs = simd.splat_f32s(sign);
    for ((a, b), (cos, sin)) in a.iter_mut().zip(b).zip(cos.iter().zip(sin)) {
        let sin = simd.mul_f32s(*sin, signs);
        let turned = simd.sub_f32s(simd.mul_f32s(*a, *cos), simd.mul_f32s(*b, sin));
        *b = simd.mul_add_f32s(*b, *cos, simd.mul_f32s(*a, sin));
        *a = turned;
    }
    for ((a, b), (cos, sin)) in a_tail.iter_mut().zip(b_tail).zip(cos_tail.iter().zip(sin_tail)) {
        let sin = sin * sign;
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}
