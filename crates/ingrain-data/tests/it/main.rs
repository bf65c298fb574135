//! Integration tests of the data stages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounded;
mod expansion;
mod fidelity;
mod filter;
mod interaction;
mod killed;
mod model;
mod personas;
mod quality;
mod real_server;
mod resume;
#[path = "../../../ingrain-chat/tests/support/server.rs"]
mod server;
mod stages;
mod teachers;
