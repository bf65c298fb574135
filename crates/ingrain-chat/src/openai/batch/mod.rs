//! A provider's Batch API as a chat model: cheaper, slower, resumable from another process.
//!
//! A folder holds what is known: `<name>.json` for every batch (which requests, how far it is) and
//! `<name>.results.jsonl` once it ended. A process that starts again reads them first: results
//! that are there are handed on, batches under way are waited for, and only the rest is sent.

mod remote;
mod state;
mod wire;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use ingrain_run::sha256_hex;
use serde::{Deserialize, Serialize};

use self::state::{BatchState, Folder, Progress};
use self::wire::{RequestLine, ResultLine};
use super::body::{Body, CHAT};
use super::client::OpenAiClient;
use super::failure::Failure;
use super::http::seconds;
use crate::occurrence::occurrences;
use crate::{ChatError, ChatModel, ChatReply, ChatRequest};

/// How batches are cut and watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Most requests of one batch. Default 10,000 (OpenAI allows 50,000).
    pub max_requests: usize,
    /// Largest input file of one batch, in bytes. Default 100 MB (OpenAI allows 200).
    pub max_bytes: usize,
    /// Seconds between two looks at a batch. Default 60.
    pub poll_secs: f64,
    /// What the provider promises. Default `24h`.
    pub completion_window: String,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_requests: 10_000,
            max_bytes: 100_000_000,
            poll_secs: 60.0,
            completion_window: "24h".to_owned(),
        }
    }
}

/// A [`ChatModel`] that answers through `/batches` of the client's first endpoint.
///
/// Give it as many requests in one call as there are: each call waits for its batches.
#[derive(Debug)]
pub struct OpenAiBatch {
    client: OpenAiClient,
    config: BatchConfig,
    folder: Folder,
}

/// Where the replies of one call go.
struct Delivery<'a> {
    /// Requests not answered yet, by custom id.
    wanted: HashMap<String, usize>,
    on_reply: &'a mut dyn FnMut(usize, Result<ChatReply, ChatError>),
}

impl OpenAiBatch {
    /// Keeps its state in `folder`, which is created.
    ///
    /// # Errors
    /// [`ChatError::Journal`] if the folder cannot be made, [`ChatError::Settings`] for limits of 0.
    pub fn new(
        client: OpenAiClient,
        config: BatchConfig,
        folder: impl Into<PathBuf>,
    ) -> Result<Self, ChatError> {
        if config.max_requests == 0 || config.max_bytes == 0 {
            let reason = "`max_requests` and `max_bytes` of a batch must be at least 1";
            return Err(ChatError::Settings(reason.to_owned()));
        }
        Ok(Self { client, config, folder: Folder::create(folder.into())? })
    }

    fn run(&self, requests: &[ChatRequest], mut out: Delivery<'_>) -> Result<(), ChatError> {
        let lines = self.lines(requests, &mut out)?;
        let mut states = self.folder.states()?;
        for state in states.iter().filter(|s| s.progress == Progress::Ended) {
            self.deliver(state, &mut out)?;
        }
        states.retain(|s| s.progress != Progress::Ended && s.has_any(&out.wanted));
        let under_way = |line: &&RequestLine| {
            out.wanted.contains_key(&line.custom_id)
                && !states.iter().any(|s| s.ids.contains(&line.custom_id))
        };
        let rest: Vec<&RequestLine> = lines.iter().filter(under_way).collect();
        for chunk in self.chunks(&rest)? {
            states.push(self.folder.begin(chunk)?);
        }
        for state in &mut states {
            self.client.block_on(self.submit(state))?;
        }
        for state in &mut states {
            self.client.block_on(self.wait(state))?;
            self.deliver(state, &mut out)?;
        }
        for (_, i) in out.wanted.drain() {
            let failure = Failure::MissingFromBatch("neither a reply nor an error".to_owned());
            (out.on_reply)(i, Err(self.failed(failure)));
        }
        Ok(())
    }

    /// One line a request, all on `/chat/completions`; what cannot be sent is answered at once.
    fn lines(
        &self,
        requests: &[ChatRequest],
        out: &mut Delivery<'_>,
    ) -> Result<Vec<RequestLine>, ChatError> {
        let mut bodies = Vec::new();
        for (i, request) in requests.iter().enumerate() {
            match Body::new(self.client.config(), self.client.renderer.as_deref(), request) {
                Ok(body) if body.route == CHAT => {
                    let hash = sha256_hex(&wire::to_json(&body.json)?)[..32].to_owned();
                    bodies.push((i, hash, body.json));
                }
                Ok(_) => {
                    let reason = "a batch takes /chat/completions only; this one must be rendered";
                    (out.on_reply)(i, Err(ChatError::InvalidRequest(reason.to_owned())));
                }
                Err(error) => (out.on_reply)(i, Err(error)),
            }
        }
        let samples = occurrences(bodies.iter().map(|(_, hash, _)| hash.clone()));
        let mut lines = Vec::with_capacity(bodies.len());
        for ((i, hash, body), sample) in bodies.into_iter().zip(samples) {
            let line = RequestLine::new(format!("{hash}-{sample}"), body);
            out.wanted.insert(line.custom_id.clone(), i);
            lines.push(line);
        }
        Ok(lines)
    }

    /// Cuts by number and by bytes.
    fn chunks<'l>(
        &self,
        lines: &[&'l RequestLine],
    ) -> Result<Vec<Vec<&'l RequestLine>>, ChatError> {
        let mut chunks: Vec<Vec<&RequestLine>> = Vec::new();
        let mut room = 0;
        for &line in lines {
            let size = wire::to_json(line)?.len() + 1;
            match chunks.last_mut() {
                Some(chunk) if chunk.len() < self.config.max_requests && size <= room => {
                    chunk.push(line);
                }
                _ => {
                    chunks.push(vec![line]);
                    room = self.config.max_bytes;
                }
            }
            room = room.saturating_sub(size);
        }
        Ok(chunks)
    }

    /// Hands on what a batch that ended holds for this call. A line that came twice counts once.
    fn deliver(&self, state: &BatchState, out: &mut Delivery<'_>) -> Result<(), ChatError> {
        if !state.has_any(&out.wanted) {
            return Ok(());
        }
        self.folder.read_results(state, |line: ResultLine| {
            // A failure may be made good by a later line or batch: it stays wanted if transient.
            match line.outcome() {
                Ok(reply) => {
                    if let Some(i) = out.wanted.remove(&line.custom_id) {
                        (out.on_reply)(i, Ok(reply));
                    }
                }
                Err(failure) if !failure.is_transient() => {
                    if let Some(i) = out.wanted.remove(&line.custom_id) {
                        (out.on_reply)(i, Err(self.failed(failure)));
                    }
                }
                Err(_) => {}
            }
        })
    }

    fn failed(&self, failure: Failure) -> ChatError {
        let endpoint = self.client.shared.endpoints.iter().next();
        let endpoint = endpoint.map_or_else(String::new, |e| format!("{}/batches", e.name()));
        ChatError::Endpoint { endpoint, attempts: 1, failure }
    }

    fn pause(&self) -> Duration {
        seconds(self.config.poll_secs.max(0.01))
    }
}

impl ChatModel for OpenAiBatch {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let mut answered = vec![false; requests.len()];
        let mut note = |i: usize, result| {
            answered[i] = true;
            on_reply(i, result);
        };
        let delivery = Delivery { wanted: HashMap::new(), on_reply: &mut note };
        let Err(error) = self.run(requests, delivery) else { return };
        let mut first = Some(error);
        for i in (0..requests.len()).filter(|&i| !answered[i]) {
            let again = || ChatError::Model("its batch failed, as said before".to_owned());
            on_reply(i, Err(first.take().unwrap_or_else(again)));
        }
    }

    /// Bodies that are equal for want of a seed are told apart by their order.
    fn batch_matters(&self) -> bool {
        self.client.config().omit.iter().any(|key| key == "seed")
    }
}
