//! The client itself: many requests under way at once, behind a synchronous call.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use hyper::body::Bytes;
use ingrain_run::{Interrupt, sha256_hex};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::body::Body;
use super::config::{OpenAiConfig, Prefill};
use super::endpoints::Endpoints;
use super::exchange::Post;
use super::http::Http;
use super::rate::RateLimits;
use super::render::RenderPrompt;
use super::reply::DetailedReply;
use crate::{ChatError, ChatModel, ChatReply, ChatRequest, Role};

/// A [`ChatModel`] behind one or several OpenAI-compatible servers. Cheap to clone: clones share
/// connections, limits and what is known about the servers.
///
/// A call must not be made from inside an async task (in one, use a blocking thread).
///
/// # Examples
/// ```no_run
/// use ingrain_chat::openai::{Dialect, OpenAiClient, OpenAiConfig};
/// use ingrain_chat::{ChatModel, ChatRequest, Message, Sampling};
///
/// let mut config = OpenAiConfig::new("http://127.0.0.1:8000/v1", "my-model");
/// config.dialect = Dialect::Vllm;
/// let client = OpenAiClient::new(config)?;
/// let request = ChatRequest::new(vec![Message::user("Hello.")], Sampling::default());
/// let reply = client.complete_one(&request)?;
/// # Ok::<(), ingrain_chat::ChatError>(())
/// ```
#[derive(Clone)]
pub struct OpenAiClient {
    pub(crate) config: Arc<OpenAiConfig>,
    pub(crate) renderer: Option<Arc<dyn RenderPrompt>>,
    pub(crate) interrupt: Interrupt,
    pub(crate) shared: Arc<Shared>,
}

/// What clones have in common.
pub(crate) struct Shared {
    runtime: Runtime,
    pub(crate) http: Http,
    pub(crate) endpoints: Endpoints,
    pub(crate) limits: RateLimits,
    pub(crate) slots: Semaphore,
}

impl OpenAiClient {
    /// Reads the keys from the environment and sets everything up; sends nothing.
    ///
    /// # Errors
    /// [`ChatError::Settings`] naming what cannot work.
    pub fn new(config: OpenAiConfig) -> Result<Self, ChatError> {
        if config.model.is_empty() {
            return Err(ChatError::Settings("`model` is empty; name a model".to_owned()));
        }
        if config.max_in_flight == 0 || config.retry.max_attempts == 0 {
            let reason = "`max_in_flight` and `retry.max_attempts` must be at least 1";
            return Err(ChatError::Settings(reason.to_owned()));
        }
        if config.requests_per_minute == Some(0) || config.tokens_per_minute == Some(0) {
            let reason = "a rate limit of 0 sends nothing; leave it out for no limit";
            return Err(ChatError::Settings(reason.to_owned()));
        }
        let endpoints = Endpoints::new(&config.endpoints)?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| ChatError::Settings(format!("no runtime for network access ({e})")))?;
        let shared = Shared {
            http: Http::new(&config, endpoints.needs_tls())?,
            runtime,
            endpoints,
            limits: RateLimits::new(config.requests_per_minute, config.tokens_per_minute),
            slots: Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS)),
        };
        Ok(Self {
            config: Arc::new(config),
            renderer: None,
            interrupt: Interrupt::new(),
            shared: Arc::new(shared),
        })
    }

    /// Renders here what the server cannot, with this.
    #[must_use]
    pub fn with_renderer(mut self, renderer: impl RenderPrompt + 'static) -> Self {
        self.renderer = Some(Arc::new(renderer));
        self
    }

    /// Looks at `interrupt`: once it is raised, nothing more is sent. Replies under way are waited
    /// for, because they are paid for.
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// The same servers, another model: an adapter that was loaded, for instance.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.config).model = model.into();
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &OpenAiConfig {
        &self.config
    }

    /// A name for [`Cached`](crate::Cached): the model, and a hash of every setting that shapes a
    /// reply. Where the model is served is not part of it.
    #[must_use]
    pub fn cache_name(&self) -> String {
        let c = &*self.config;
        let mut shape = vec![json!([
            c.model,
            c.dialect,
            c.inexpressible,
            c.api,
            c.prefill,
            c.token_limit,
            c.thinking,
            c.omit,
            c.extra_body
        ])];
        // Said only where it is set, so that the names of other clients stay what they were.
        shape.extend(c.render_with.as_deref().map(|model| json!({ "render_with": model })));
        let shape: String = shape.iter().map(ToString::to_string).collect();
        format!("{}@{}", c.model, &sha256_hex(shape.as_bytes())[..12])
    }

    /// Like [`ChatModel::complete`], with log-probabilities and reasoning traces.
    pub fn complete_detailed(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<DetailedReply, ChatError>),
    ) {
        self.drive(requests.len(), |i| self.answer(&requests[i]), on_reply);
    }

    async fn answer(&self, request: &ChatRequest) -> Result<DetailedReply, ChatError> {
        let body = Body::new(&self.config, self.renderer.as_deref(), request)?;
        let json = serde_json::to_vec(&body.json)
            .map_err(|e| ChatError::InvalidRequest(format!("it has no JSON form: {e}")))?;
        let post = Post {
            route: body.route,
            json: Bytes::from(json),
            estimated_tokens: body.estimated_tokens,
        };
        let mut answer = self.post(&post, DetailedReply::parse).await?;
        if self.config.prefill == Prefill::Implicit {
            take_off_prefill(request, &mut answer.reply.text);
        }
        let used = answer.reply.prompt_tokens + answer.reply.completion_tokens;
        if used > 0 {
            self.shared.limits.correct(body.estimated_tokens, used as u64);
        }
        Ok(answer)
    }

    /// Runs `count` pieces of work, `max_in_flight` at a time, on this thread.
    pub(crate) fn drive<T, F>(
        &self,
        count: usize,
        work: impl Fn(usize) -> F,
        on_done: &mut dyn FnMut(usize, Result<T, ChatError>),
    ) where
        F: Future<Output = Result<T, ChatError>>,
    {
        let tagged = |i| {
            let work = work(i);
            async move { (i, work.await) }
        };
        self.block_on(async {
            let running = futures_util::stream::iter(0..count).map(tagged);
            let mut running = std::pin::pin!(running.buffer_unordered(self.config.max_in_flight));
            while let Some((i, result)) = running.next().await {
                on_done(i, result);
            }
        });
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.shared.runtime.block_on(work)
    }
}

/// A reply holds what is new only, even where the server repeats the message that it continued.
fn take_off_prefill(request: &ChatRequest, text: &mut String) {
    let prefill = request.messages.last().filter(|m| m.role == Role::Assistant);
    let rest = prefill.and_then(|m| text.strip_prefix(m.content.as_str()));
    if let Some(rest) = rest.map(str::to_owned) {
        *text = rest;
    }
}

impl ChatModel for OpenAiClient {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        self.complete_detailed(requests, &mut |i, result| on_reply(i, result.map(|d| d.reply)));
    }

    fn batch_matters(&self) -> bool {
        false
    }
}

impl fmt::Debug for OpenAiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiClient").field("config", &self.config).finish_non_exhaustive()
    }
}
