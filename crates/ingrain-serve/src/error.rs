//! What can go wrong with a page.

use std::path::PathBuf;

use ingrain_run::RunError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A run directory without anything to annotate.
    #[error(
        "{}: no pairs of replies to annotate; expected eval/coherence/cases.jsonl or pairs.jsonl",
        dir.display()
    )]
    NothingToAnnotate {
        /// The run directory.
        dir: PathBuf,
    },
    /// The port cannot be used.
    #[error("cannot listen on 127.0.0.1:{port}; choose another port, or 0 for any that is free")]
    Bind {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server stopped working.
    #[error("the local server failed")]
    Server(#[source] std::io::Error),
    /// A file of the run failed.
    #[error(transparent)]
    Run(#[from] RunError),
}
