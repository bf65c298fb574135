//! Accepting connections, answering on them, stopping.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ingrain_run::Interrupt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Failure, Reply};
use crate::{Limits, ServeError};

/// How often a server looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);

/// What a server answers with.
pub(crate) trait Site: Send + Sync + 'static {
    /// The reply to one request.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Reply, Failure>> + Send;
}

/// A socket that listens; nothing is answered before [`serve`](Self::serve).
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let refused = |source| ServeError::Listen { address, source };
        let socket = TcpListener::bind(address).map_err(refused)?;
        socket.set_nonblocking(true).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, address })
    }

    /// Where it listens, port 0 resolved.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until `interrupt` is requested, then lets the requests at work end.
    pub(crate) fn serve(
        self,
        site: Arc<impl Site>,
        limits: &Limits,
        interrupt: &Interrupt,
    ) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Server)?;
        runtime.block_on(self.accept(site, limits, interrupt))
    }

    async fn accept(
        self,
        site: Arc<impl Site>,
        limits: &Limits,
        interrupt: &Interrupt,
    ) -> Result<(), ServeError> {
        let listener =
            tokio::net::TcpListener::from_std(self.socket).map_err(ServeError::Server)?;
        let slots = Arc::new(Semaphore::new(limits.max_connections));
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
                    tokio::spawn(connection.serve(site.clone(), limits.receive_secs));
                }
                Ok(Err(_)) => tokio::time::sleep(LOOK).await,
                Err(_) => {}
            }
        }
        drop(listener);
        let _ = stopping.send(true);
        let all = u32::try_from(limits.max_connections).unwrap_or(u32::MAX);
        let grace = Duration::from_secs(limits.shutdown_secs);
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
    async fn serve(self, site: Arc<impl Site>, receive_secs: u64) {
        let Self { stream, slot, mut stopped } = self;
        // Tokens are small and should not wait for each other.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let site = site.clone();
            async move {
                let reply = site.answer(request).await;
                Ok::<_, Infallible>(reply.unwrap_or_else(Failure::into_reply))
            }
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
