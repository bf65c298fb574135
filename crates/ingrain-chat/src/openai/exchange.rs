//! One request until it is answered or lost: limits, choice of server, attempts.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;

use super::client::OpenAiClient;
use super::endpoints::{Choice, Endpoint, Turn};
use super::failure::Failure;
use super::http::{Call, seconds};
use crate::ChatError;

/// A pause is taken in such pieces, so that an interrupt is seen soon.
const GLANCE: Duration = Duration::from_millis(100);

/// JSON for a route that any server of the model may answer.
pub(crate) struct Post {
    pub(crate) route: &'static str,
    pub(crate) json: Bytes,
    pub(crate) estimated_tokens: u64,
}

impl OpenAiClient {
    /// Posts until `parse` accepts a reply, attempts are used up, or the failure is one for good.
    pub(crate) async fn post<T>(
        &self,
        post: &Post,
        parse: impl Fn(&[u8]) -> Result<T, Failure>,
    ) -> Result<T, ChatError> {
        let mut attempt = 0;
        let mut failed_at = None;
        loop {
            let slot = self.shared.slots.acquire().await;
            self.pause(self.shared.limits.book(post.estimated_tokens)).await?;
            let turn = self.turn(failed_at).await?;
            let (index, endpoint) = (turn.index, turn.endpoint);
            attempt += 1;
            let result = self.attempt(endpoint, post).await;
            let result = result.and_then(|body| parse(&body));
            drop(slot);
            match result {
                Ok(value) => {
                    turn.succeeded();
                    return Ok(value);
                }
                Err(failure) => {
                    let pause = self.after_failure(turn, attempt, failure)?;
                    self.shared.limits.correct(post.estimated_tokens, 0);
                    failed_at = Some(index);
                    self.pause(pause).await?;
                }
            }
        }
    }

    async fn attempt(&self, endpoint: &Endpoint, post: &Post) -> Result<Bytes, Failure> {
        let call = Call {
            method: Method::POST,
            uri: endpoint.uri(post.route).map_err(|e| Failure::Connect(e.to_string()))?,
            key: endpoint.key.clone(),
            content_type: "application/json",
            body: post.json.clone(),
        };
        self.shared.http.json(call).await
    }

    /// How long to wait before the next attempt; an error if there is to be none.
    pub(crate) fn after_failure(
        &self,
        turn: Turn<'_>,
        attempt: u32,
        failure: Failure,
    ) -> Result<Duration, ChatError> {
        let retry = &self.config.retry;
        let longest = seconds(retry.max_retry_after_secs);
        let endpoint = turn.endpoint.name().to_owned();
        turn.failed(&failure, longest);
        let asked = failure.retry_after();
        let hopeless = !failure.is_transient() || asked.is_some_and(|pause| pause > longest);
        if hopeless || attempt >= retry.max_attempts {
            return Err(ChatError::Endpoint { endpoint, attempts: attempt, failure });
        }
        tracing::debug!(endpoint, attempt, %failure, "trying again");
        // Where the server names a pause, all requests keep it: see `turn`.
        Ok(if asked.is_some() { Duration::ZERO } else { retry.backoff(attempt) })
    }

    /// Waits until some server may be asked.
    pub(crate) async fn turn(&self, failed_at: Option<usize>) -> Result<Turn<'_>, ChatError> {
        loop {
            match self.shared.endpoints.choose(failed_at) {
                Choice::Now(turn) => {
                    self.stop_if_interrupted()?;
                    return Ok(turn);
                }
                Choice::Wait(pause) => self.pause(pause).await?,
            }
        }
    }

    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), ChatError> {
        let mut left = pause;
        while !left.is_zero() {
            self.stop_if_interrupted()?;
            let piece = left.min(GLANCE);
            tokio::time::sleep(piece).await;
            left -= piece;
        }
        self.stop_if_interrupted()
    }

    fn stop_if_interrupted(&self) -> Result<(), ChatError> {
        if self.interrupt.is_requested() { Err(ChatError::Interrupted) } else { Ok(()) }
    }
}
