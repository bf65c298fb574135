//! Directions that are known to be there, files in the form of `repeng`, and training watched.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod find;
