//! What can go wrong with a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use ingrain_run::RunError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}; choose another port, or 0 for any that is free")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server stopped working.
    #[error("the server failed")]
    Server(#[source] std::io::Error),
    /// A run directory without anything to annotate.
    #[error(
        "{}: no pairs of replies to annotate; expected eval/coherence/cases.jsonl or pairs.jsonl",
        dir.display()
    )]
    NothingToAnnotate {
        /// The run directory.
        dir: PathBuf,
    },
    /// A file of the run failed.
    #[error(transparent)]
    Run(#[from] RunError),
}
