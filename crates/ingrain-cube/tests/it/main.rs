//! The kernels on wgpu, which finds software GL where there is no GPU, against f64 on the processor.
#![expect(unsafe_code, reason = "CubeCL takes buffers with the shapes that the caller vouches for")]

mod target_logprob;
