//! Configuration, listening, stopping.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ingrain_run::Interrupt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::openai::Api;
use crate::{Engine, ServeError};

/// How often a server looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);

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
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    api: Arc<Api>,
}

impl Server {
    /// Listens; nothing is answered before [`serve`](Self::serve).
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn bind(config: ServerConfig, engine: Arc<dyn Engine>) -> Result<Self, ServeError> {
        let refused = |source| ServeError::Listen { address: config.address, source };
        let listener = TcpListener::bind(config.address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let limits = config.limits.clone();
        let api = Arc::new(Api::new(engine, address, config.key, config.limits));
        Ok(Self { listener, address, limits, api })
    }

    /// What to open in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until `interrupt` is requested, then lets the requests at work end.
    ///
    /// # Errors
    /// [`ServeError::Server`].
    pub fn serve(self, interrupt: &Interrupt) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Server)?;
        runtime.block_on(self.accept(interrupt))
    }

    async fn accept(self, interrupt: &Interrupt) -> Result<(), ServeError> {
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(ServeError::Server)?;
        let slots = Arc::new(Semaphore::new(self.limits.max_connections));
        let (stopping, stopped) = watch::channel(false);
        while !interrupt.is_requested() {
            let Ok(Ok(slot)) = tokio::time::timeout(LOOK, slots.clone().acquire_owned()).await
            else {
                continue;
            };
            // A connection that breaks off while it is accepted is its own problem; where files run
            // out, waiting is all there is to do.
            match tokio::time::timeout(LOOK, listener.accept()).await {
                Ok(Ok((stream, _))) => {
                    let connection = Connection { stream, slot, stopped: stopped.clone() };
                    tokio::spawn(connection.serve(self.api.clone(), self.limits.receive_secs));
                }
                Ok(Err(_)) => tokio::time::sleep(LOOK).await,
                Err(_) => {}
            }
        }
        drop(listener);
        let _ = stopping.send(true);
        let all = u32::try_from(self.limits.max_connections).unwrap_or(u32::MAX);
        let grace = Duration::from_secs(self.limits.shutdown_secs);
        let _ = tokio::time::timeout(grace, slots.acquire_many(all)).await;
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
    /// Given back when the connection ends.
    slot: OwnedSemaphorePermit,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, api: Arc<Api>, receive_secs: u64) {
        let Self { stream, slot, mut stopped } = self;
        // Tokens are small and should not wait for each other.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(receive_secs))
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // Errors are the client's: it went away, or did not speak HTTP and was told so.
        let stop = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        if race(connection.as_mut(), pin!(stop)).await {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        drop(slot);
    }
}

/// Runs until one of the two ends; `true` if `stop` did first.
async fn race(
    connection: impl Future<Output = hyper::Result<()>>,
    stop: impl Future<Output = ()>,
) -> bool {
    let (mut connection, mut stop) = (pin!(connection), pin!(stop));
    std::future::poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(false);
        }
        stop.as_mut().poll(context).map(|()| true)
    })
    .await
}
