//! The server over real connections, in front of a scripted engine; blind annotation.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod annotate;
mod api;
mod bounds;
mod client;
mod load;
