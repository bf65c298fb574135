//! Configuration, and the server itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ingrain_run::Interrupt;

use crate::http::Listener;
use crate::openai::Api;
use crate::{Engine, ServeError};

/// Bounds on everything that strangers control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; others wait to be accepted. Default 256.
    pub max_connections: usize,
    /// Size of a request's body. Default 4 MiB.
    pub max_body_bytes: usize,
    /// Continuations at work or waiting at once; a request beyond is told to come back (429).
    /// Default 512.
    pub max_jobs: usize,
    /// Continuations that one request may ask for, over its prompts and choices. Default 128.
    pub max_jobs_per_request: usize,
    /// Time for one request to be answered in full. Default 600.
    pub request_secs: u64,
    /// Time for a client to send the head of a request, and again for the body. Default 30.
    pub receive_secs: u64,
    /// Time for requests at work to end when the server is stopped. Default 10.
    pub shutdown_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            max_body_bytes: 4 << 20,
            max_jobs: 512,
            max_jobs_per_request: 128,
            request_secs: 600,
            receive_secs: 30,
            shutdown_secs: 10,
        }
    }
}

/// Where a server listens and whom it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Default 127.0.0.1:8000: this machine only. Port 0 takes any that is free.
    pub address: SocketAddr,
    /// If given, requests under `/v1` must carry `Authorization: Bearer KEY`.
    pub key: Option<String>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        Self { address, key: None, limits: Limits::default() }
    }
}

/// An OpenAI-compatible server with a chat page.
pub struct Server {
    listener: Listener,
    limits: Limits,
    api: Arc<Api>,
}

impl Server {
    /// Listens; nothing is answered before [`serve`](Self::serve).
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn bind(config: ServerConfig, engine: Arc<dyn Engine>) -> Result<Self, ServeError> {
        let ServerConfig { address, key, limits } = config;
        let listener = Listener::bind(address)?;
        let api = Arc::new(Api::new(engine, listener.address(), key, limits.clone()));
        Ok(Self { listener, limits, api })
    }

    /// What to open in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Answers until `interrupt` is requested, then lets the requests at work end.
    ///
    /// # Errors
    /// [`ServeError::Server`].
    pub fn serve(self, interrupt: &Interrupt) -> Result<(), ServeError> {
        self.listener.serve(self.api, &self.limits, interrupt)
    }
}
