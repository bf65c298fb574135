//! What must hold for any input whatever: one function a target, which panics when it does not.
//!
//! A target runs in two ways: coverage-guided under `cargo fuzz` (`fuzz_targets/`), and as a plain
//! time-bounded loop of mutations on a stable toolchain (`src/bin/soak.rs`).

pub mod constitution;
pub mod gguf;
pub mod mutate;
pub mod template;

/// A target by the name that both ways of running use.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// What must hold.
    pub run: fn(&[u8]),
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces of the format that mutations insert.
    pub dictionary: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "constitution",
        run: constitution::run,
        seeds: constitution::seeds,
        dictionary: constitution::DICTIONARY,
    },
    Target { name: "gguf", run: gguf::run, seeds: gguf::seeds, dictionary: gguf::DICTIONARY },
    Target {
        name: "template",
        run: template::run,
        seeds: template::seeds,
        dictionary: template::DICTIONARY,
    },
];
