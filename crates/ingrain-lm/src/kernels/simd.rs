//! Vector functions that the kernels share, for whichever instruction set runs.
//!
//! Everything is `#[inline(always)]`: a function takes on the instruction set of the kernel that calls
//! it. Closures handed to the standard library do not, so loops are written out.

use pulp::{Arch, Simd, WithSimd};

/// Runs a kernel with the widest instruction set of this machine.
///
/// `Arch` alone knows AVX2 only with a feature of `pulp` that Burn leaves off.
pub(crate) fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    let arch = Arch::new();
    #[cfg(target_arch = "x86_64")]
    if matches!(arch, Arch::Scalar)
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        return Simd::vectorize(simd, kernel);
    }
    arch.dispatch(kernel)
}

/// Adding it leaves the rounded integer in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// `e^x`, within 2 ulp of the exact value; subnormal results, infinities and NaN included.
///
/// Cody-Waite reduction to `|r| <= ln(2) / 2` and the polynomial of Cephes' `expf`. The power of two
/// is applied in two halves, so that results below `f32::MIN_POSITIVE` round instead of vanishing.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let round = simd.splat_f32s(ROUND);
    let bounded = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-105.0)), simd.splat_f32s(89.0));
    let shifted = simd.mul_add_f32s(bounded, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let n = simd.sub_f32s(shifted, round);
    let r = simd.mul_add_f32s(n, simd.splat_f32s(-LN_2_HIGH), bounded);
    let r = simd.mul_add_f32s(n, simd.splat_f32s(-LN_2_LOW), r);
    let mut p = simd.splat_f32s(POLYNOMIAL[0]);
    for c in &POLYNOMIAL[1..] {
        p = simd.mul_add_f32s(p, r, simd.splat_f32s(*c));
    }
    let one_plus_r = simd.add_f32s(r, simd.splat_f32s(1.0));
    let e = simd.mul_add_f32s(simd.mul_f32s(p, r), r, one_plus_r);
    let half = simd.mul_add_f32s(n, simd.splat_f32s(0.5), round);
    let rest = simd.add_f32s(simd.sub_f32s(n, simd.sub_f32s(half, round)), round);
    let scaled =
        simd.mul_f32s(simd.mul_f32s(e, power_of_two(simd, half)), power_of_two(simd, rest));
    simd.select_f32s(simd.equal_f32s(x, x), scaled, x)
}

/// `2^n` for `n + ROUND`.
#[inline(always)]
fn power_of_two<S: Simd>(simd: S, shifted: S::f32s) -> S::f32s {
    let bias = simd.splat_u32s(127u32.wrapping_sub(ROUND.to_bits()));
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), bias);
    simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)))
}

/// The largest value; negative infinity for an empty slice.
#[inline(always)]
pub(crate) fn max<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let (body, tail) = S::as_simd_f32s(values);
    let mut most = [simd.splat_f32s(f32::NEG_INFINITY); 4];
    for four in body.chunks(4) {
        for (most, x) in most.iter_mut().zip(four) {
            *most = simd.max_f32s(*most, *x);
        }
    }
    let first = simd.max_f32s(most[0], most[1]);
    let second = simd.max_f32s(most[2], most[3]);
    let mut largest = simd.reduce_max_f32s(simd.max_f32s(first, second));
    for &x in tail {
        largest = largest.max(x);
    }
    largest
}

/// Replaces every value by `e^(value - shift)` and returns their sum.
#[inline(always)]
pub(crate) fn exp_shifted<S: Simd>(simd: S, values: &mut [f32], shift: f32) -> f32 {
    let (body, tail) = S::as_mut_simd_f32s(values);
    let by = simd.splat_f32s(-shift);
    let mut sums = [simd.splat_f32s(0.0); 2];
    for two in body.chunks_mut(2) {
        for (sum, x) in sums.iter_mut().zip(two) {
            *x = exp(simd, simd.add_f32s(*x, by));
            *sum = simd.add_f32s(*sum, *x);
        }
    }
    let mut total = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
    if !tail.is_empty() {
        let e = exp(simd, simd.add_f32s(simd.partial_load_f32s(tail), by));
        simd.partial_store_f32s(tail, e);
        total += tail.iter().sum::<f32>();
    }
    total
}

/// The sum of `e^(value - shift)` over all values.
#[inline(always)]
pub(crate) fn sum_exp_shifted<S: Simd>(simd: S, values: &[f32], shift: f32) -> f32 {
    let (body, tail) = S::as_simd_f32s(values);
    let by = simd.splat_f32s(-shift);
    let mut sums = [simd.splat_f32s(0.0); 2];
    for two in body.chunks(2) {
        for (sum, x) in sums.iter_mut().zip(two) {
            *sum = simd.add_f32s(*sum, exp(simd, simd.add_f32s(*x, by)));
        }
    }
    let total = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
    total + tail.iter().map(|x| (x - shift).exp()).sum::<f32>()
}

/// Multiplies every value by `factor`.
#[inline(always)]
pub(crate) fn scale<S: Simd>(simd: S, values: &mut [f32], factor: f32) {
    let (body, tail) = S::as_mut_simd_f32s(values);
    let by = simd.splat_f32s(factor);
    for x in body {
        *x = simd.mul_f32s(*x, by);
    }
    for x in tail {
        *x *= factor;
    }
}

/// `sum a_i b_i`.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (a, b) in a.chunks(4).zip(b.chunks(4)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = simd.mul_add_f32s(*a, *b, *sum);
        }
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    let mut total = simd.reduce_sum_f32s(sum);
    for (a, b) in a_tail.iter().zip(b_tail) {
        total += a * b;
    }
    total
}

/// `y += a x + b z`.
#[inline(always)]
pub(crate) fn add_two<S: Simd>(
    simd: S,
    y: &mut [f32],
    (a, x): (f32, &[f32]),
    (b, z): (f32, &[f32]),
) {
    let ((x, x_tail), (z, z_tail)) = (S::as_simd_f32s(x), S::as_simd_f32s(z));
    let (y, y_tail) = S::as_mut_simd_f32s(y);
    let (a_all, b_all) = (simd.splat_f32s(a), simd.splat_f32s(b));
    for ((x, z), y) in x.iter().zip(z).zip(y) {
        *y = simd.mul_add_f32s(b_all, *z, simd.mul_add_f32s(a_all, *x, *y));
    }
    for ((x, z), y) in x_tail.iter().zip(z_tail).zip(y_tail) {
        *y += a * x + b * z;
    }
}

/// `y = (y + shift) * x`.
#[inline(always)]
pub(crate) fn shift_and_multiply<S: Simd>(simd: S, y: &mut [f32], shift: f32, x: &[f32]) {
    let (x, x_tail) = S::as_simd_f32s(x);
    let (y, y_tail) = S::as_mut_simd_f32s(y);
    let by = simd.splat_f32s(shift);
    for (x, y) in x.iter().zip(y) {
        *y = simd.mul_f32s(simd.add_f32s(*y, by), *x);
    }
    for (x, y) in x_tail.iter().zip(y_tail) {
        *y = (*y + shift) * x;
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Simd, WithSimd};

    struct Exp<'a>(&'a mut [f32]);

    impl WithSimd for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for chunk in self.0.chunks_mut(S::F32_LANES) {
                let x = simd.partial_load_f32s(chunk);
                simd.partial_store_f32s(chunk, super::exp(simd, x));
            }
        }
    }

    fn exp(mut values: Vec<f32>) -> Vec<f32> {
        super::dispatch(Exp(&mut values));
        values
    }

    #[test]
    fn exp_is_within_two_ulp_of_the_exact_value_over_the_whole_range() {
        let xs: Vec<f32> = (-1_060_000..=890_000).map(|i| i as f32 * 1e-4).collect();
        for (x, e) in xs.iter().zip(exp(xs.clone())) {
            let exact = f64::from(*x).exp();
            let rounded = exact as f32;
            if rounded.is_infinite() {
                assert_eq!(e, f32::INFINITY, "exp({x})");
                continue;
            }
            let ulp = f64::from(f32::from_bits(rounded.to_bits() + 1)) - f64::from(rounded);
            let off = (f64::from(e) - exact).abs() / ulp;
            assert!(off <= 2.0, "exp({x}) = {e}, {off} ulp from {exact}");
        }
    }

    #[test]
    fn exp_of_infinities_zero_and_nan() {
        let values =
            exp(vec![f32::NEG_INFINITY, f32::INFINITY, 0.0, -0.0, f32::NAN, -1e30, 1e30, f32::MIN]);
        assert_eq!(&values[..4], [0.0, f32::INFINITY, 1.0, 1.0]);
        assert!(values[4].is_nan());
        assert_eq!(&values[5..], [0.0, f32::INFINITY, 0.0]);
    }
}
