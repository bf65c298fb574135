//! Tests through the public API, against what transformers says of tiny encoders and of the real one
//! (the files under `fixtures/encoders/`, and the script that made them).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod files;
mod fixture;
mod minilm;
mod parity;
mod study;
mod training;
