//! Batched generation with a key-value cache.

mod generator;
mod sampler;

pub use generator::{Generation, Generator, Prompt};
