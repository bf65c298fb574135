//! The page over HTTP, on the loopback address alone.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use ingrain_run::Interrupt;
use serde::Deserialize;
use serde_json::json;

use super::{Annotation, Answer};
use crate::http::{Failure, Guard, Reply, asset, json};
use crate::{Refusal, ServeError};

const PAGE: &str = include_str!("../page/annotate.html");
const STYLE: &str = include_str!("../page/annotate.css");
const SCRIPT: &str = include_str!("../page/annotate.js");

/// An answer is far smaller.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// How often a server looks whether it should stop.
const LOOK: Duration = Duration::from_millis(200);

/// Serves an [`Annotation`] to browsers on this machine.
#[derive(Debug)]
pub struct AnnotationServer {
    listener: TcpListener,
    address: SocketAddr,
    annotation: Arc<Mutex<Annotation>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    rater: String,
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    answer: Option<Answer>,
}

impl AnnotationServer {
    /// Listens on 127.0.0.1; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn bind(annotation: Annotation, port: u16) -> Result<Self, ServeError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, annotation: Arc::new(Mutex::new(annotation)) })
    }

    /// What to open in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until `interrupt` is requested.
    ///
    /// # Errors
    /// [`ServeError::Server`].
    pub fn serve(self, interrupt: &Interrupt) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Server)?;
        runtime.block_on(async {
            let listener =
                tokio::net::TcpListener::from_std(self.listener).map_err(ServeError::Server)?;
            while !interrupt.is_requested() {
                // A connection that breaks off while it is accepted is its own problem.
                let Ok(Ok((stream, _))) = tokio::time::timeout(LOOK, listener.accept()).await
                else {
                    continue;
                };
                let annotation = self.annotation.clone();
                let guard = Arc::new(Guard::new(self.address, None));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (annotation, guard) = (annotation.clone(), guard.clone());
                        async move {
                            let reply = respond(request, &annotation, &guard).await;
                            Ok::<_, Infallible>(reply.unwrap_or_else(Failure::into_reply))
                        }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Ok(())
        })
    }
}

async fn respond(
    request: Request<Incoming>,
    annotation: &Mutex<Annotation>,
    guard: &Guard,
) -> Result<Reply, Failure> {
    guard.check_site(&request)?;
    let label = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => return Ok(asset("text/html; charset=utf-8", PAGE)),
        (&Method::GET, "/annotate.css") => return Ok(asset("text/css; charset=utf-8", STYLE)),
        (&Method::GET, "/annotate.js") => {
            return Ok(asset("text/javascript; charset=utf-8", SCRIPT));
        }
        (&Method::POST, "/api/item") => false,
        (&Method::POST, "/api/label") => true,
        _ => return Err(Failure::not_found("no such page")),
    };
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    let body = body.map_err(|_| Failure::too_large(MAX_BODY_BYTES))?.to_bytes();
    let posted = serde_json::from_slice(&body)
        .map_err(|_| Failure::invalid(None, "not a request of this page"))?;
    let mut annotation = annotation.lock().unwrap_or_else(PoisonError::into_inner);
    answer(&mut annotation, &posted, label)
}

/// Writes a label down if there is one, and shows the pair asked for or the next open one.
fn answer(annotation: &mut Annotation, posted: &Posted, label: bool) -> Result<Reply, Failure> {
    let rater = Annotation::rater(&posted.rater)
        .ok_or_else(|| Failure::invalid(Some("rater"), "a name has 1 to 40 characters"))?;
    if label {
        let (Some(index), Some(given)) = (posted.index, posted.answer) else {
            return Err(Failure::invalid(None, "a label needs index and answer"));
        };
        let written = annotation.label(rater, index, given);
        if !written.map_err(|e| Failure::refused(Refusal::Broken(e.to_string())))? {
            return Err(Failure::not_found("no such pair"));
        }
    }
    let progress = annotation.progress(rater);
    let wanted = if label { None } else { posted.index };
    let item = wanted.or(progress.next).and_then(|index| annotation.item(rater, index));
    Ok(json(&json!({ "progress": progress, "item": item })))
}
