//! The instructions behind a bf16 product.
//!
//! The public functions check, on every call and cheaply, that the processor has the instructions. The
//! rest is safe code inside functions that enable them, but for four loads and stores, each of which
//! takes a reference to exactly the values that it touches.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    _mm512_storeu_si512,
};

use super::{PANEL, Place, TILE};

const LANES: usize = 16;
const VECTORS: usize = PANEL / LANES;

pub(super) fn supported() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512bf16")
}

/// Appends a row in bf16, in pairs; a zero completes the last one.
pub(super) fn round_row(row: &[f32], halves: &mut Vec<u32>) {
    assert!(supported(), "checked when the weights were packed");
    #[expect(unsafe_code, reason = "the instructions are there: asserted above")]
    // SAFETY: see the reason.
    unsafe {
        round_enabled(row, halves);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn round_enabled(row: &[f32], halves: &mut Vec<u32>) {
    let (body, tail) = row.as_chunks::<{ 2 * LANES }>();
    for values in body {
        let ([low, high], _) = values.as_chunks::<LANES>() else { unreachable!("two vectors") };
        let both = _mm512_cvtne2ps_pbh(load(high), load(low));
        let mut pairs = [0; LANES];
        store_pairs(&mut pairs, both);
        halves.extend_from_slice(&pairs);
    }
    for pair in tail.chunks(2) {
        halves.push(super::pack(pair[0], pair.get(1).copied().unwrap_or(0.0)));
    }
}

/// Adds the product of `halves: [rows, pairs]` and one panel, `[pairs, PANEL]`, to `c`.
pub(super) fn add_panel(c: &mut [f32], place: Place, halves: &[u32], pairs: usize, panel: &[u32]) {
    assert!(supported(), "checked when the weights were packed");
    assert_eq!(panel.len(), pairs * PANEL, "a panel is [pairs, PANEL]");
    let rows = c.chunks_mut(TILE * place.stride).zip(halves.chunks(TILE * pairs));
    for (c, halves) in rows {
        #[expect(unsafe_code, reason = "the instructions are there: asserted above")]
        // SAFETY: see the reason.
        unsafe {
            match c.len() / place.stride {
                1 => add_tile::<1>(c, place, halves, pairs, panel),
                2 => add_tile::<2>(c, place, halves, pairs, panel),
                3 => add_tile::<3>(c, place, halves, pairs, panel),
                4 => add_tile::<4>(c, place, halves, pairs, panel),
                5 => add_tile::<5>(c, place, halves, pairs, panel),
                _ => add_tile::<TILE>(c, place, halves, pairs, panel),
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn add_tile<const ROWS: usize>(
    c: &mut [f32],
    place: Place,
    halves: &[u32],
    pairs: usize,
    panel: &[u32],
) {
    let rows: [&[u32]; ROWS] = std::array::from_fn(|row| &halves[row * pairs..(row + 1) * pairs]);
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (pair, columns) in panel.as_chunks::<PANEL>().0.iter().enumerate() {
        let (columns, _) = columns.as_chunks::<LANES>();
        let weights: [__m512bh; VECTORS] = std::array::from_fn(|v| load_pairs(&columns[v]));
        for (row, sums) in rows.iter().zip(&mut sums) {
            let x = bf16s(_mm512_set1_epi32(row[pair].cast_signed()));
            for (sum, w) in sums.iter_mut().zip(weights) {
                *sum = _mm512_dpbf16_ps(*sum, x, w);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        let end = place.stride.min(place.start + PANEL);
        let c = &mut c[row * place.stride + place.start..row * place.stride + end];
        let (whole, rest) = c.as_chunks_mut::<LANES>();
        for (c, sum) in whole.iter_mut().zip(sums) {
            store(c, _mm512_add_ps(load(c), sum));
        }
        if let Some(sum) = sums.get(whole.len()) {
            let mut last = [0.0; LANES];
            store(&mut last, *sum);
            rest.iter_mut().zip(last).for_each(|(c, sum)| *c += sum);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16s(pairs: __m512i) -> __m512bh {
    #[expect(unsafe_code, reason = "both are 512 bits that hold any value")]
    // SAFETY: see the reason.
    unsafe {
        std::mem::transmute(pairs)
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn load_pairs(pairs: &[u32; LANES]) -> __m512bh {
    #[expect(unsafe_code, reason = "reads the sixteen values of the reference")]
    // SAFETY: see the reason.
    let pairs = unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) };
    bf16s(pairs)
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn store_pairs(pairs: &mut [u32; LANES], values: __m512bh) {
    #[expect(unsafe_code, reason = "both are 512 bits; writes the sixteen values of the reference")]
    // SAFETY: see the reason.
    unsafe {
        _mm512_storeu_si512(
            pairs.as_mut_ptr().cast(),
            std::mem::transmute::<__m512bh, __m512i>(values),
        );
    }
}

#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    #[expect(unsafe_code, reason = "reads the sixteen values of the reference")]
    // SAFETY: see the reason.
    unsafe {
        _mm512_loadu_ps(values.as_ptr())
    }
}

#[target_feature(enable = "avx512f")]
fn store(values: &mut [f32; LANES], vector: __m512) {
    #[expect(unsafe_code, reason = "writes the sixteen values of the reference")]
    // SAFETY: see the reason.
    unsafe {
        _mm512_storeu_ps(values.as_mut_ptr(), vector);
    }
}
