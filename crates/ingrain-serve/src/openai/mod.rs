//! The routes, and what one request goes through.

mod chat;
mod completions;
mod fields;
mod models;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::{EventStream, Failure, Guard, Reply, Site, Writer, asset, json, read};
use crate::{Engine, Event, Events, Job, Limits, Replies};

const PAGE: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/chat.js");
const STYLE: &str = include_str!("../page/chat.css");

/// Everything that answers requests.
pub(crate) struct Api {
    engine: Arc<dyn Engine>,
    guard: Guard,
    limits: Limits,
    /// One permit for each continuation at work or waiting.
    jobs: Arc<Semaphore>,
    /// Distinguishes replies, and seeds requests that name no seed.
    counter: AtomicU64,
    started: u64,
}

/// What every reply to a generating request says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: String,
    pub(crate) model: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

/// A request that has been understood: jobs, and how their events become a reply.
struct Order<W> {
    jobs: Vec<Job>,
    stream: bool,
    writer: W,
}

/// Makes one object of all events.
trait Collect: Writer {
    fn collect(&mut self, index: usize, event: Event);
    fn reply(self) -> Value;
}

impl Api {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        address: SocketAddr,
        key: Option<String>,
        limits: Limits,
    ) -> Self {
        Self {
            engine,
            guard: Guard::new(address, key),
            jobs: Arc::new(Semaphore::new(limits.max_jobs)),
            limits,
            counter: AtomicU64::new(0),
            started: now(),
        }
    }

    async fn carry_out<W: Collect>(&self, order: Order<W>) -> Result<Reply, Failure> {
        let count = u32::try_from(order.jobs.len()).unwrap_or(u32::MAX);
        let permit =
            self.jobs.clone().try_acquire_many_owned(count).map_err(|_| Failure::busy())?;
        let timeout = Duration::from_secs(self.limits.request_secs);
        let open = order.jobs.len();
        let (replies, events) = Replies::channel(open);
        for (job, replies) in order.jobs.into_iter().zip(replies) {
            self.engine.submit(job, replies);
        }
        let mut running = Running { events, open, permit };
        let deadline = tokio::time::sleep(timeout);
        if order.stream {
            // A request that is refused at once gets an error's status, not a stream that holds one.
            let first = tokio::time::timeout(timeout, running.begin()).await;
            let first = first.map_err(|_| self.timed_out())??;
            let stream = EventStream {
                events: running.events,
                writer: order.writer,
                open: running.open,
                first,
                deadline: Box::pin(deadline),
                timeout_secs: self.limits.request_secs,
                _permit: running.permit,
                ended: false,
            };
            return Ok(stream.into_reply());
        }
        let reply = tokio::time::timeout(timeout, running.collect(order.writer)).await;
        Ok(json(&reply.map_err(|_| self.timed_out())??))
    }

    fn timed_out(&self) -> Failure {
        Failure::timed_out(self.limits.request_secs)
    }

    fn stamp(&self, prefix: &str, model: &str) -> Stamp {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let id = format!("{prefix}-{:x}-{number:x}", self.started);
        Stamp { id, model: model.to_owned(), created: now() }
    }

    /// A seed for a request that names none: another one for every request.
    fn fresh_seed(&self) -> u64 {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        nanos ^ self.counter.load(Ordering::Relaxed).rotate_left(32)
    }
}

impl Site for Api {
    async fn answer(&self, request: Request<Incoming>) -> Result<Reply, Failure> {
        self.guard.check_site(&request)?;
        let path = request.uri().path().to_owned();
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        let post = request.method() == Method::POST;
        if path.starts_with("/v1/") {
            self.guard.check_key(&request)?;
        }
        match path.as_str() {
            "/" if get => Ok(asset("text/html; charset=utf-8", PAGE)),
            "/chat.js" if get => Ok(asset("text/javascript; charset=utf-8", SCRIPT)),
            "/chat.css" if get => Ok(asset("text/css; charset=utf-8", STYLE)),
            "/health" if get => Ok(json(&serde_json::json!({ "status": "ok" }))),
            "/v1/models" if get => Ok(json(&models::list(&*self.engine, self.started))),
            "/v1/chat/completions" if post => {
                let body: chat::Request = read(request, &self.limits).await?;
                let stamp = self.stamp("chatcmpl", &body.fields.model);
                self.carry_out(chat::order(body, stamp, self.fresh_seed(), &self.limits)?).await
            }
            "/v1/completions" if post => {
                let body: completions::Request = read(request, &self.limits).await?;
                let stamp = self.stamp("cmpl", &body.fields.model);
                self.carry_out(completions::order(body, stamp, self.fresh_seed(), &self.limits)?)
                    .await
            }
            "/"
            | "/chat.js"
            | "/chat.css"
            | "/health"
            | "/v1/models"
            | "/v1/chat/completions"
            | "/v1/completions" => Err(Failure::wrong_method()),
            _ => match path.strip_prefix("/v1/models/") {
                Some(id) if get => models::one(&*self.engine, id, self.started),
                _ => Err(Failure::not_found("there is nothing at this path")),
            },
        }
    }
}

/// The jobs of one request at work.
struct Running {
    events: Events,
    open: usize,
    permit: OwnedSemaphorePermit,
}

impl Running {
    /// Waits until every job has been accepted.
    async fn begin(&mut self) -> Result<VecDeque<(usize, Event)>, Failure> {
        let (mut seen, mut started) = (VecDeque::new(), 0);
        while started < self.open {
            let (index, event) = self.next().await?;
            started += usize::from(matches!(event, Event::Started { .. }));
            seen.push_back((index, event));
        }
        Ok(seen)
    }

    async fn collect<W: Collect>(mut self, mut writer: W) -> Result<Value, Failure> {
        while self.open > 0 {
            let (index, event) = self.next().await?;
            self.open -= usize::from(matches!(event, Event::Done { .. }));
            writer.collect(index, event);
        }
        drop(self.permit);
        Ok(writer.reply())
    }

    async fn next(&mut self) -> Result<(usize, Event), Failure> {
        match self.events.receiver.recv().await {
            Some((_, Event::Failed(refusal))) => Err(Failure::refused(refusal)),
            Some(event) => Ok(event),
            None => {
                let broken = crate::Refusal::Broken("the engine gave up the request".into());
                Err(Failure::refused(broken))
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
