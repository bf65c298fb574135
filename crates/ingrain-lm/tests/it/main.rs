//! Tests through the public API, against what transformers, PEFT and llama.cpp's `gguf` package say
//! (the files under `fixtures/`, each with the script that made it).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod algebra;
mod batch;
mod batching;
mod broken;
mod builtin;
mod download;
mod export;
mod fixture;
mod generation;
mod gguf;
mod gradients;
#[cfg(feature = "hub")]
mod hub;
mod logits;
mod logprob;
mod memory;
mod merge;
mod peft;
mod random;
mod selftest;
