//! The page over HTTP, on the loopback address alone.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ingrain_run::Interrupt;
use serde::Deserialize;
use serde_json::json;

use super::{Annotation, Answer};
use crate::ServeError;

const PAGE: &str = include_str!("page.html");

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

type Reply = Response<Full<Bytes>>;

impl AnnotationServer {
    /// Listens on 127.0.0.1; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`ServeError::Bind`].
    pub fn bind(annotation: Annotation, port: u16) -> Result<Self, ServeError> {
        let refused = |source| ServeError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(refused)?;
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
                let Ok(Ok((stream, _))) = tokio::time::timeout(LOOK, listener.accept()).await else {
                    continue;
                };
                let (annotation, port) = (self.annotation.clone(), self.address.port());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let annotation = annotation.clone();
                        async move { Ok::<_, Infallible>(respond(request, &annotation, port).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Ok(())
        })
    }
}

async fn respond(request: Request<Incoming>, annotation: &Mutex<Annotation>, port: u16) -> Reply {
    if !is_local(&request, port) {
        return error(StatusCode::FORBIDDEN, "only pages of this server may ask");
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => reply(StatusCode::OK, "text/html; charset=utf-8", PAGE.to_owned()),
        (&Method::POST, "/api/item" | "/api/label") => {
            let label = request.uri().path() == "/api/label";
            let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
            let Ok(body) = body else {
                return error(StatusCode::PAYLOAD_TOO_LARGE, "too large");
            };
            match serde_json::from_slice(&body.to_bytes()) {
                Ok(posted) => {
                    let mut annotation = annotation.lock().unwrap_or_else(PoisonError::into_inner);
                    answer(&mut annotation, &posted, label)
                }
                Err(_) => error(StatusCode::BAD_REQUEST, "not a request of this page"),
            }
        }
        _ => error(StatusCode::NOT_FOUND, "no such page"),
    }
}

/// A page elsewhere must not reach this server through the rater's browser, not even under a name
/// that resolves to this machine.
fn is_local(request: &Request<Incoming>, port: u16) -> bool {
    let names = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST).is_some_and(|host| names.iter().any(|name| name == host));
    let origin = request.headers().get(ORIGIN).is_none()
        || header(ORIGIN)
            .and_then(|origin| origin.strip_prefix("http://"))
            .is_some_and(|origin| names.iter().any(|name| name == origin));
    host && origin
}

/// Writes a label down if there is one, and shows the pair asked for or the next open one.
fn answer(annotation: &mut Annotation, posted: &Posted, label: bool) -> Reply {
    let Some(rater) = Annotation::rater(&posted.rater) else {
        return error(StatusCode::BAD_REQUEST, "a name has 1 to 40 characters");
    };
    if label {
        let (Some(index), Some(given)) = (posted.index, posted.answer) else {
            return error(StatusCode::BAD_REQUEST, "a label needs index and answer");
        };
        match annotation.label(rater, index, given) {
            Ok(true) => {}
            Ok(false) => return error(StatusCode::NOT_FOUND, "no such pair"),
            Err(failed) => {
                return error(StatusCode::INTERNAL_SERVER_ERROR, &failed.to_string());
            }
        }
    }
    let progress = annotation.progress(rater);
    let wanted = if label { None } else { posted.index };
    let item = wanted.or(progress.next).and_then(|index| annotation.item(rater, index));
    let content = json!({ "progress": progress, "item": item });
    reply(StatusCode::OK, "application/json", content.to_string())
}

fn error(status: StatusCode, reason: &str) -> Reply {
    reply(status, "application/json", json!({ "error": reason }).to_string())
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
    ] {
        reply.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    reply
}
