//! Super-blocks of 256 whose elements are entries of a codebook: the IQ1, IQ2 and IQ3 types.

use super::codebooks::{IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS};
use super::half_at;

/// Magnitudes of the IQ2 types; a fourth one does not occur.
const LEVELS_2: [f32; 4] = [8.0, 25.0, 43.0, 0.0];
const LEVELS_3_XXS: [f32; 8] = [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0];
const LEVELS_3_S: [f32; 8] = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0];
/// What the IQ1 types add to or take from -1, 0 and 1.
const DELTA: f32 = 0.125;

pub(super) fn iq2_xxs(b: &[u8; 66], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    for (group, words) in b[2..].as_chunks::<8>().0.iter().enumerate() {
        let aux = word(words, 4);
        let scale = d * (0.5 + (aux >> 28) as f32) * 0.25;
        for i in 0..4 {
            let signs = with_parity((aux >> (7 * i) & 0x7F) as u8);
            let entry = IQ2_XXS[usize::from(words[i])];
            eight(&mut out[group * 32 + i * 8..], scale, entry, signs);
        }
    }
}

pub(super) fn iq2_xs(b: &[u8; 74], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    for i in 0..32 {
        let q = u16::from_le_bytes([b[2 + 2 * i], b[3 + 2 * i]]);
        let scale = d * (0.5 + f32::from(nibble(&b[66..], i / 2))) * 0.25;
        let entry = IQ2_XS[usize::from(q & 0x1FF)];
        eight(&mut out[i * 8..], scale, entry, with_parity((q >> 9) as u8));
    }
}

pub(super) fn iq2_s(b: &[u8; 82], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    for i in 0..32 {
        let high = b[66 + i / 4] >> (2 * (i % 4)) & 3;
        let scale = d * (0.5 + f32::from(nibble(&b[74..], i / 2))) * 0.25;
        let entry = IQ2_S[usize::from(b[2 + i]) | usize::from(high) << 8];
        eight(&mut out[i * 8..], scale, entry, b[34 + i]);
    }
}

pub(super) fn iq3_xxs(b: &[u8; 98], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    for i in 0..64 {
        let aux = word(b, 66 + i / 8 * 4);
        let scale = d * (0.5 + (aux >> 28) as f32) * 0.5;
        let signs = with_parity((aux >> (7 * (i % 8 / 2)) & 0x7F) as u8);
        let entry = IQ3_XXS[usize::from(b[2 + i])];
        four(&mut out[i * 4..], scale, LEVELS_3_XXS, entry, signs >> (i % 2 * 4));
    }
}

pub(super) fn iq3_s(b: &[u8; 110], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    for i in 0..64 {
        let high = b[66 + i / 8] >> (i % 8) & 1;
        let scale = d * f32::from(1 + 2 * nibble(&b[106..], i / 8));
        let entry = IQ3_S[usize::from(b[2 + i]) | usize::from(high) << 8];
        four(&mut out[i * 4..], scale, LEVELS_3_S, entry, b[74 + i / 2] >> (i % 2 * 4));
    }
}

pub(super) fn iq1_s(b: &[u8; 50], out: &mut [f32; 256]) {
    let d = half_at(b, 0);
    for i in 0..32 {
        let high = u16::from_le_bytes([b[34 + i / 4 * 2], b[35 + i / 4 * 2]]);
        let scale = d * f32::from(2 * (high >> 12 & 7) + 1);
        let delta = if high & 0x8000 == 0 { DELTA } else { -DELTA };
        let entry = usize::from(b[2 + i]) | usize::from(high >> (3 * (i % 4)) & 7) << 8;
        ternary(&mut out[i * 8..], scale, IQ1_S[entry], delta);
    }
}

/// The scale of the whole block hides in the upper four bits of its four words of scales.
pub(super) fn iq1_m(b: &[u8; 56], out: &mut [f32; 256]) {
    let words: [u16; 4] =
        std::array::from_fn(|i| u16::from_le_bytes([b[48 + 2 * i], b[49 + 2 * i]]));
    let bits = words.iter().enumerate().fold(0, |all, (i, w)| all | (w & 0xF000) >> (12 - 4 * i));
    let d = half::f16::from_bits(bits).to_f32();
    for i in 0..32 {
        let scale = d * f32::from(2 * (words[i / 8] >> (3 * (i / 2 % 4)) & 7) + 1);
        let high = nibble(&b[32..48], i);
        let delta = if high & 8 == 0 { DELTA } else { -DELTA };
        let entry = usize::from(b[i]) | usize::from(high & 7) << 8;
        ternary(&mut out[i * 8..], scale, IQ1_S[entry], delta);
    }
}

fn eight(out: &mut [f32], scale: f32, entry: u16, signs: u8) {
    for (i, o) in out[..8].iter_mut().enumerate() {
        *o = signed(scale * LEVELS_2[usize::from(entry >> (2 * i) & 3)], signs >> i);
    }
}

fn four(out: &mut [f32], scale: f32, levels: [f32; 8], entry: u16, signs: u8) {
    for (i, o) in out[..4].iter_mut().enumerate() {
        *o = signed(scale * levels[usize::from(entry >> (4 * i) & 7)], signs >> i);
    }
}

fn ternary(out: &mut [f32], scale: f32, entry: u16, delta: f32) {
    for (i, o) in out[..8].iter_mut().enumerate() {
        let level = f32::from((entry >> (2 * i) & 3) as i8 - 1);
        *o = scale * (level + delta);
    }
}

fn signed(value: f32, sign: u8) -> f32 {
    if sign & 1 == 0 { value } else { -value }
}

/// Seven sign bits; the eighth makes their number even.
fn with_parity(signs: u8) -> u8 {
    signs | ((signs.count_ones() & 1) as u8) << 7
}

fn nibble(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 2] >> (i % 2 * 4) & 0x0F
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
