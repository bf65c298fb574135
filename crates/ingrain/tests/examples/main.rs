//! The examples as programs, and what the guides say: commands, files, the keys of a recipe.
//!
//! A test target of its own: it starts the example binaries, which a plain `cargo test` builds and
//! `cargo test --test it` does not.

mod bench;
mod commands;
mod hub;
mod list;
mod recipe_guide;
mod runs;
mod servers;
#[expect(dead_code, reason = "written for the tests of the library; part of it serves here")]
#[path = "../it/tiny.rs"]
mod tiny;
mod yaml;
