//! The examples as programs, and the commands that the guides show.
//!
//! A test target of its own: it starts the example binaries, which a plain `cargo test` builds and
//! `cargo test --test it` does not.

mod bench;
mod commands;
mod hub;
mod runs;
mod servers;
#[expect(dead_code, reason = "written for the tests of the library; part of it serves here")]
#[path = "../it/tiny.rs"]
mod tiny;
