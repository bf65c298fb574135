//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use super::half_at;

/// `d * (q - 8)`; the low nibbles are the first half of the block.
pub(super) fn q4_0(b: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(b, 0);
    for (i, &q) in b[2..].iter().enumerate() {
        out[i] = d * f32::from((q & 0x0F) as i8 - 8);
        out[i + 16] = d * f32::from((q >> 4) as i8 - 8);
    }
}

/// `d * q + m`.
pub(super) fn q4_1(b: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half_at(b, 0), half_at(b, 2));
    for (i, &q) in b[4..].iter().enumerate() {
        out[i] = d * f32::from(q & 0x0F) + m;
        out[i + 16] = d * f32::from(q >> 4) + m;
    }
}

/// `d * (q - 16)`, the fifth bits in a word of their own.
pub(super) fn q5_0(b: &[u8; 22], out: &mut [f32; 32]) {
    let d = half_at(b, 0);
    let high = u32::from_le_bytes([b[2], b[3], b[4], b[5]]);
    for (i, &q) in b[6..].iter().enumerate() {
        out[i] = d * f32::from((q & 0x0F | fifth_bit(high, i)) as i8 - 16);
        out[i + 16] = d * f32::from((q >> 4 | fifth_bit(high, i + 16)) as i8 - 16);
    }
}

/// `d * q + m`, the fifth bits in a word of their own.
pub(super) fn q5_1(b: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half_at(b, 0), half_at(b, 2));
    let high = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
    for (i, &q) in b[8..].iter().enumerate() {
        out[i] = d * f32::from(q & 0x0F | fifth_bit(high, i)) + m;
        out[i + 16] = d * f32::from(q >> 4 | fifth_bit(high, i + 16)) + m;
    }
}

/// `q * d`.
pub(super) fn q8_0(b: &[u8; 34], out: &mut [f32; 32]) {
    let d = half_at(b, 0);
    for (o, &q) in out.iter_mut().zip(&b[2..]) {
        *o = f32::from(q as i8) * d;
    }
}

fn fifth_bit(high: u32, i: usize) -> u8 {
    ((high >> i & 1) as u8) << 4
}
