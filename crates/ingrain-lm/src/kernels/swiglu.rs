//! `silu(gate) * up`, forward and backward.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::simd;

/// Values a task.
const RUN: usize = 16 << 10;

/// `gate / (1 + e^-gate) * up`.
pub(crate) fn forward(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; gate.len()];
    y.par_chunks_mut(RUN)
        .zip(gate.par_chunks(RUN).zip(up.par_chunks(RUN)))
        .for_each(|(y, (gate, up))| simd::dispatch(Forward { gate, up, y }));
    y
}

/// Given the derivative with respect to the output in `dy`, overwrites it by that with respect to `gate`
/// and returns that with respect to `up`.
///
/// With `s` the logistic function: `d up = dy gate s`, `d gate = dy up s (1 + gate (1 - s))`.
pub(crate) fn backward(gate: &[f32], up: &[f32], dy: &mut [f32]) -> Vec<f32> {
    let mut d_up = vec![0.0; up.len()];
    dy.par_chunks_mut(RUN)
        .zip(d_up.par_chunks_mut(RUN))
        .zip(gate.par_chunks(RUN).zip(up.par_chunks(RUN)))
        .for_each(|((dy, d_up), (gate, up))| simd::dispatch(Backward { gate, up, dy, d_up }));
    d_up
}

struct Forward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((gate, gate_tail), (up, up_tail)) =
            (S::as_simd_f32s(self.gate), S::as_simd_f32s(self.up));
        let (y, y_tail) = S::as_mut_simd_f32s(self.y);
        for ((gate, up), y) in gate.iter().zip(up).zip(y) {
            *y = value(simd, *gate, *up);
        }
        if !y_tail.is_empty() {
            let (gate, up) = (simd.partial_load_f32s(gate_tail), simd.partial_load_f32s(up_tail));
            simd.partial_store_f32s(y_tail, value(simd, gate, up));
        }
    }
}

struct Backward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    dy: &'a mut [f32],
    d_up: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((gate, gate_tail), (up, up_tail)) =
            (S::as_simd_f32s(self.gate), S::as_simd_f32s(self.up));
        let (dy, dy_tail) = S::as_mut_simd_f32s(self.dy);
        let (d_up, d_up_tail) = S::as_mut_simd_f32s(self.d_up);
        for ((gate, up), (dy, d_up)) in gate.iter().zip(up).zip(dy.iter_mut().zip(d_up)) {
            (*dy, *d_up) = slopes(simd, *gate, *up, *dy);
        }
        if !dy_tail.is_empty() {
            let (gate, up) = (simd.partial_load_f32s(gate_tail), simd.partial_load_f32s(up_tail));
            let (d_gate, d_up) = slopes(simd, gate, up, simd.partial_load_f32s(dy_tail));
            simd.partial_store_f32s(dy_tail, d_gate);
            simd.partial_store_f32s(d_up_tail, d_up);
        }
    }
}

#[inline(always)]
fn value<S: Simd>(simd: S, gate: S::f32s, up: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.mul_f32s(gate, logistic(simd, gate)), up)
}

#[inline(always)]
fn slopes<S: Simd>(simd: S, gate: S::f32s, up: S::f32s, dy: S::f32s) -> (S::f32s, S::f32s) {
    let one = simd.splat_f32s(1.0);
    let s = logistic(simd, gate);
    let dy_s = simd.mul_f32s(dy, s);
    let bend = simd.mul_add_f32s(gate, simd.sub_f32s(one, s), one);
    (simd.mul_f32s(simd.mul_f32s(dy_s, up), bend), simd.mul_f32s(dy_s, gate))
}

#[inline(always)]
fn logistic<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, simd::exp(simd, simd.neg_f32s(x))))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor, activation};

    use super::{backward, forward};

    #[test]
    fn values_and_gradients_equal_the_composition() {
        let device = Device::flex().autodiff();
        for (len, size) in [(1, 1.0), (15, 3.0), (16, 30.0), (1000, 1.0), (40_003, 5.0)] {
            let normal =
                |size| Tensor::<1>::random([len], Distribution::Normal(0.0, size), &device);
            let (gate, up) = (normal(size).require_grad(), normal(1.0).require_grad());
            let towards = normal(1.0);
            let y = activation::silu(gate.clone()) * up.clone();
            let gradients = (y.clone() * towards.clone()).sum().backward();
            let host = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().expect("f32");
            let (g, u) = (host(gate.clone().inner()), host(up.clone().inner()));
            let mut d_gate = host(towards.inner());
            let d_up = backward(&g, &u, &mut d_gate);
            for (found, expected) in [
                (forward(&g, &u), y.inner()),
                (d_gate, gate.grad(&gradients).expect("tracked")),
                (d_up, up.grad(&gradients).expect("tracked")),
            ] {
                for (found, expected) in found.iter().zip(host(expected)) {
                    let off = (found - expected).abs();
                    assert!(off <= 1e-5 * expected.abs().max(0.1), "{found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn gates_at_either_end_saturate() {
        let ends = [-1e4, -200.0, 200.0, 1e4];
        assert_eq!(forward(&ends, &[2.0; 4]), [0.0, 0.0, 400.0, 2e4]);
        let mut d_gate = [1.0; 4];
        assert_eq!(backward(&ends, &[2.0; 4], &mut d_gate), [0.0, 0.0, 200.0, 1e4]);
        assert_eq!(d_gate, [0.0, 0.0, 2.0, 2.0]);
    }
}
