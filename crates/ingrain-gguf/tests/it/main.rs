//! Tests through the public API, on files written in memory.

mod blocks;
mod broken;
mod metadata;
mod shared;
mod write;
