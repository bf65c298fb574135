//! Integration tests of the files of a run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod jsonl;
mod kill;
mod manifest;
mod stage;
