//! Super-blocks of 256 with scales of their own for groups of 16 or 32: Q2_K to Q6_K.

use super::half_at;

/// Sixteen groups of 16: `d * scale * q - dmin * min`, 2 bits.
pub(super) fn q2_k(b: &[u8; 84], out: &mut [f32; 256]) {
    let (scales, rest) = b.split_at(16);
    let (quants, _) = rest.split_at(64);
    let (d, dmin) = (half_at(b, 80), half_at(b, 82));
    for (i, o) in out.iter_mut().enumerate() {
        let scale = scales[i / 16];
        let q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        *o = d * f32::from(scale & 0x0F) * f32::from(q) - dmin * f32::from(scale >> 4);
    }
}

/// Sixteen groups of 16: `d * scale * q`, 3 bits, the third one in a mask (set means: no offset).
pub(super) fn q3_k(b: &[u8; 110], out: &mut [f32; 256]) {
    let (mask, rest) = b.split_at(32);
    let (quants, rest) = rest.split_at(64);
    let (packed, _) = rest.split_at(12);
    let d = half_at(b, 108);
    for (i, o) in out.iter_mut().enumerate() {
        let group = i / 16;
        let low = packed[group % 8] >> (group / 8 * 4) & 0x0F;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = (low | high << 4) as i8 - 32;
        let q = (quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) as i8;
        let offset = if mask[i % 32] >> (i / 32) & 1 == 0 { 4 } else { 0 };
        *o = d * f32::from(scale) * f32::from(q - offset);
    }
}

/// Eight groups of 32: `d * scale * q - dmin * min`, 4 bits.
pub(super) fn q4_k(b: &[u8; 144], out: &mut [f32; 256]) {
    let (d, dmin) = (half_at(b, 0), half_at(b, 2));
    let quants = &b[16..];
    for group in 0..8 {
        let (scale, min) = scale_and_min(&b[4..16], group);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        let shift = group % 2 * 4;
        for i in 0..32 {
            let q = quants[group / 2 * 32 + i] >> shift & 0x0F;
            out[group * 32 + i] = scale * f32::from(q) - min;
        }
    }
}

/// Eight groups of 32: `d * scale * q - dmin * min`, 5 bits, the fifth ones in a mask.
pub(super) fn q5_k(b: &[u8; 176], out: &mut [f32; 256]) {
    let (d, dmin) = (half_at(b, 0), half_at(b, 2));
    let (mask, quants) = b[16..].split_at(32);
    for group in 0..8 {
        let (scale, min) = scale_and_min(&b[4..16], group);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        let shift = group % 2 * 4;
        for i in 0..32 {
            let low = quants[group / 2 * 32 + i] >> shift & 0x0F;
            let high = mask[i] >> group & 1;
            out[group * 32 + i] = scale * f32::from(low | high << 4) - min;
        }
    }
}

/// Sixteen groups of 16: `d * scale * (q - 32)`, 6 bits.
pub(super) fn q6_k(b: &[u8; 210], out: &mut [f32; 256]) {
    let (low, rest) = b.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, _) = rest.split_at(16);
    let d = half_at(b, 208);
    for (i, o) in out.iter_mut().enumerate() {
        let (half, within) = (i / 128, i % 128);
        let l = low[half * 64 + within % 64] >> (within / 64 * 4) & 0x0F;
        let h = high[half * 32 + within % 32] >> (within / 32 * 2) & 3;
        *o = d * f32::from(scales[i / 16] as i8) * f32::from((l | h << 4) as i8 - 32);
    }
}

/// The 6-bit scale and minimum of one of eight groups, out of their 12 packed bytes.
fn scale_and_min(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        (packed[group] & 0x3F, packed[group + 4] & 0x3F)
    } else {
        let (d, m, both) = (packed[group - 4], packed[group], packed[group + 4]);
        (both & 0x0F | d >> 2 & 0x30, both >> 4 | m >> 2 & 0x30)
    }
}
