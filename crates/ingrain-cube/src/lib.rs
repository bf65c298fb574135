//! GPU kernels on CubeCL.
//!
//! # The main decision
//!
//! A kernel is written once, for every runtime of CubeCL, in a crate that knows no tensor library: it takes
//! buffers and shapes. So the same kernel that CUDA runs can be tested without a GPU, on wgpu over software GL
//! (feature `wgpu`), which shows its logic and its numbers but not its speed. How it becomes an operation on
//! Burn's tensors stands in `ingrain-lm`.
//!
//! Without a feature the crate is empty.

#[cfg(feature = "kernels")]
mod target_logprob;

#[cfg(feature = "kernels")]
pub use target_logprob::{Rows, STATISTICS, reduce, slopes};
