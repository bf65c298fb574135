//! Blocks of quantised numbers to f32, bit-equal to the Python package `gguf`.
//!
//! One file a family. Each block function takes one block and writes its elements; the order of the
//! f32 operations is that of the reference, nothing is fused.

mod codebook;
mod codebooks;
mod ksuper;
mod legacy;
mod levels;
mod plain;

use rayon::prelude::*;

use crate::GgmlType;

/// The type only ever holds intermediate results, or is not known to the reference either.
#[derive(Debug)]
pub(crate) struct NotDequantizable;

/// Blocks that one task of the thread pool works on.
const BLOCKS_PER_TASK: usize = 512;

/// Turns `bytes`, whole blocks of `dtype`, into as many elements as `out` has room for.
pub(crate) fn dequantize(
    dtype: GgmlType,
    bytes: &[u8],
    out: &mut [f32],
) -> Result<(), NotDequantizable> {
    debug_assert_eq!(bytes.len() / dtype.block_bytes(), out.len() / dtype.block_len());
    match dtype {
        GgmlType::F32 => each(bytes, out, plain::f32),
        GgmlType::F16 => each(bytes, out, plain::f16),
        GgmlType::BF16 => each(bytes, out, plain::bf16),
        GgmlType::F64 => each(bytes, out, plain::f64),
        GgmlType::I8 => each(bytes, out, plain::i8),
        GgmlType::I16 => each(bytes, out, plain::i16),
        GgmlType::I32 => each(bytes, out, plain::i32),
        GgmlType::I64 => each(bytes, out, plain::i64),
        GgmlType::Q4_0 => each(bytes, out, legacy::q4_0),
        GgmlType::Q4_1 => each(bytes, out, legacy::q4_1),
        GgmlType::Q5_0 => each(bytes, out, legacy::q5_0),
        GgmlType::Q5_1 => each(bytes, out, legacy::q5_1),
        GgmlType::Q8_0 => each(bytes, out, legacy::q8_0),
        GgmlType::Q2_K => each(bytes, out, ksuper::q2_k),
        GgmlType::Q3_K => each(bytes, out, ksuper::q3_k),
        GgmlType::Q4_K => each(bytes, out, ksuper::q4_k),
        GgmlType::Q5_K => each(bytes, out, ksuper::q5_k),
        GgmlType::Q6_K => each(bytes, out, ksuper::q6_k),
        GgmlType::IQ2_XXS => each(bytes, out, codebook::iq2_xxs),
        GgmlType::IQ2_XS => each(bytes, out, codebook::iq2_xs),
        GgmlType::IQ2_S => each(bytes, out, codebook::iq2_s),
        GgmlType::IQ3_XXS => each(bytes, out, codebook::iq3_xxs),
        GgmlType::IQ3_S => each(bytes, out, codebook::iq3_s),
        GgmlType::IQ1_S => each(bytes, out, codebook::iq1_s),
        GgmlType::IQ1_M => each(bytes, out, codebook::iq1_m),
        GgmlType::IQ4_NL => each(bytes, out, levels::iq4_nl),
        GgmlType::IQ4_XS => each(bytes, out, levels::iq4_xs),
        GgmlType::TQ1_0 => each(bytes, out, levels::tq1_0),
        GgmlType::TQ2_0 => each(bytes, out, levels::tq2_0),
        GgmlType::MXFP4 => each(bytes, out, levels::mxfp4),
        GgmlType::NVFP4 => each(bytes, out, levels::nvfp4),
        GgmlType::Q8_1 | GgmlType::Q8_K | GgmlType::Q1_0 => return Err(NotDequantizable),
    }
    Ok(())
}

/// Runs `block` over every block, in parallel.
fn each<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; BYTES], &mut [f32; LEN]) + Sync,
) {
    let per_task = BLOCKS_PER_TASK * (256 / LEN).max(1);
    bytes.par_chunks(BYTES * per_task).zip(out.par_chunks_mut(LEN * per_task)).for_each(
        |(bytes, out)| {
            let (blocks, _) = bytes.as_chunks::<BYTES>();
            let (outs, _) = out.as_chunks_mut::<LEN>();
            for (source, target) in blocks.iter().zip(outs) {
                block(source, target);
            }
        },
    );
}

/// The f16 at byte `at` of a block.
fn half_at(block: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}
