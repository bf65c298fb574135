//! Few levels: non-linear 4 bits (IQ4), ternary (TQ) and 4-bit floats (MXFP4, NVFP4).

use super::half_at;

/// Levels of the IQ4 types: denser around zero.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the values of the 4-bit float E2M1.
const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

pub(super) fn iq4_nl(b: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(b, 0);
    halves(&b[2..], out, d, &IQ4);
}

/// Eight groups of 32, their 6-bit scales in two places.
pub(super) fn iq4_xs(b: &[u8; 136], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    let high = u16::from_le_bytes([b[2], b[3]]);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let low = b[4 + group / 2] >> (group % 2 * 4) & 0x0F;
        let scale = (low | ((high >> (2 * group) & 3) as u8) << 4) as i8 - 32;
        halves(&b[8 + group * 16..24 + group * 16], out, d * f32::from(scale), &IQ4);
    }
}

/// Five ternary digits a byte, as a fraction of 256.
pub(super) fn tq1_0(b: &[u8; 54], out: &mut [f32; 256]) {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    let d = half_at(b, 52);
    let mut out = out.iter_mut();
    for (bytes, digits) in [(&b[..32], 5), (&b[32..48], 5), (&b[48..52], 4)] {
        for power in &POWERS[..digits] {
            for (byte, o) in bytes.iter().zip(&mut out) {
                let digit = ((u16::from(byte.wrapping_mul(*power)) * 3) >> 8) as i8;
                *o = d * f32::from(digit - 1);
            }
        }
    }
}

pub(super) fn tq2_0(b: &[u8; 66], out: &mut [f32; 256]) {
    let d = half_at(b, 64);
    for (i, o) in out.iter_mut().enumerate() {
        let q = b[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        *o = d * f32::from(q as i8 - 1);
    }
}

/// A power of two as scale.
pub(super) fn mxfp4(b: &[u8; 17], out: &mut [f32; 32]) {
    let exponent = u32::from(b[0]);
    // Half of 2^(exponent - 127), because the levels are doubled; subnormal for the lowest two.
    let bits = if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 };
    halves(&b[1..], out, f32::from_bits(bits), &E2M1);
}

/// Four groups of 16, each with an unsigned 8-bit float (E4M3) as scale.
pub(super) fn nvfp4(b: &[u8; 36], out: &mut [f32; 64]) {
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = half_of_e4m3(b[group]);
        for (i, &q) in b[4 + group * 8..12 + group * 8].iter().enumerate() {
            out[i] = scale * f32::from(E2M1[usize::from(q & 0x0F)]);
            out[i + 8] = scale * f32::from(E2M1[usize::from(q >> 4)]);
        }
    }
}

/// Half the value, because the levels are doubled; the code for NaN counts as zero.
fn half_of_e4m3(code: u8) -> f32 {
    let (exponent, mantissa) = (code >> 3 & 0x0F, f32::from(code & 7));
    match (code, exponent) {
        (0 | 0x7F, _) => 0.0,
        (_, 0) => mantissa * 2_f32.powi(-9) * 0.5,
        _ => (1.0 + mantissa / 8.0) * 2_f32.powi(i32::from(exponent) - 7) * 0.5,
    }
}

/// 32 levels out of 16 bytes: low nibbles first.
fn halves(bytes: &[u8], out: &mut [f32; 32], scale: f32, levels: &[i8; 16]) {
    for (i, &q) in bytes[..16].iter().enumerate() {
        out[i] = scale * f32::from(levels[usize::from(q & 0x0F)]);
        out[i + 16] = scale * f32::from(levels[usize::from(q >> 4)]);
    }
}
