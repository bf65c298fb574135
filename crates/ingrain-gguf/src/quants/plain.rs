//! Numbers without blocks. Integers and f64 are rounded to the nearest f32.

use half::{bf16 as Bf16, f16 as F16};

pub(super) fn f32(b: &[u8; 4], out: &mut [f32; 1]) {
    out[0] = f32::from_le_bytes(*b);
}

pub(super) fn f16(b: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = F16::from_le_bytes(*b).to_f32();
}

pub(super) fn bf16(b: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = Bf16::from_le_bytes(*b).to_f32();
}

pub(super) fn f64(b: &[u8; 8], out: &mut [f32; 1]) {
    out[0] = f64::from_le_bytes(*b) as f32;
}

pub(super) fn i8(b: &[u8; 1], out: &mut [f32; 1]) {
    out[0] = f32::from(i8::from_le_bytes(*b));
}

pub(super) fn i16(b: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = f32::from(i16::from_le_bytes(*b));
}

pub(super) fn i32(b: &[u8; 4], out: &mut [f32; 1]) {
    out[0] = i32::from_le_bytes(*b) as f32;
}

pub(super) fn i64(b: &[u8; 8], out: &mut [f32; 1]) {
    out[0] = i64::from_le_bytes(*b) as f32;
}
