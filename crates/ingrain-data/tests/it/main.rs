//! Integration tests of the data stages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fidelity;
mod filter;
mod interaction;
mod model;
mod personas;
mod quality;
mod resume;
mod stages;
