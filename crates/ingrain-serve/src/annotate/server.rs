//! The page over HTTP, on the loopback address alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::{Method, Request};
use ingrain_run::Interrupt;
use serde::Deserialize;
use serde_json::json;

use super::{Annotation, Answer};
use crate::http::{Failure, Guard, Listener, Reply, Site, asset, json, read};
use crate::{Limits, Refusal, ServeError};

const PAGE: &str = include_str!("../page/annotate.html");
const STYLE: &str = include_str!("../page/annotate.css");
const SCRIPT: &str = include_str!("../page/annotate.js");

/// An answer is far smaller.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Serves an [`Annotation`] to browsers on this machine.
#[derive(Debug)]
pub struct AnnotationServer {
    listener: Listener,
    annotation: Annotation,
}

struct Page {
    annotation: Mutex<Annotation>,
    guard: Guard,
    limits: Limits,
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
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(Self { listener, annotation })
    }

    /// What to open in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Answers until `interrupt` is requested.
    ///
    /// # Errors
    /// [`ServeError::Server`].
    pub fn serve(self, interrupt: &Interrupt) -> Result<(), ServeError> {
        let limits = Limits { max_body_bytes: MAX_BODY_BYTES, ..Limits::default() };
        let guard = Guard::new(self.listener.address(), None);
        let annotation = Mutex::new(self.annotation);
        let page = Page { annotation, guard, limits: limits.clone() };
        self.listener.serve(Arc::new(page), &limits, interrupt)
    }
}

impl Site for Page {
    async fn answer(&self, request: Request<Incoming>) -> Result<Reply, Failure> {
        self.guard.check_site(&request)?;
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
        let posted = read(request, &self.limits).await?;
        let mut annotation = self.annotation.lock().unwrap_or_else(PoisonError::into_inner);
        answer(&mut annotation, &posted, label)
    }
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
