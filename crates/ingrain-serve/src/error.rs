//! What can go wrong with a server.

use std::net::SocketAddr;

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
}
