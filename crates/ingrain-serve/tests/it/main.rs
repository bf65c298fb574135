//! The server over real connections, in front of a scripted engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod bounds;
mod client;
mod load;
