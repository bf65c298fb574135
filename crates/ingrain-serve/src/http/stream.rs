//! Server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::reply::{Reply, with_headers};
use super::{Body, Failure};
use crate::{Event, Events};

/// Turns events into the objects that a client is sent.
pub(crate) trait Writer: Send + Unpin + 'static {
    /// What to send for an event of choice `index`.
    fn write(&mut self, index: usize, event: Event) -> Vec<Value>;
    /// What to send when every choice is done.
    fn end(&mut self) -> Vec<Value>;
}

/// The events of a request as a body. Dropping it, as happens when the client goes away, tells the
/// engine that nobody listens.
pub(crate) struct EventStream<W> {
    pub(crate) events: Events,
    pub(crate) writer: W,
    /// Choices that are not done yet.
    pub(crate) open: usize,
    /// Events that came before the stream began.
    pub(crate) first: VecDeque<(usize, Event)>,
    pub(crate) deadline: Pin<Box<Sleep>>,
    pub(crate) timeout_secs: u64,
    /// Held while the request is at work.
    pub(crate) _permit: OwnedSemaphorePermit,
    pub(crate) ended: bool,
}

impl<W: Writer> EventStream<W> {
    pub(crate) fn into_reply(self) -> Reply {
        let body: Body = self.boxed_unsync();
        with_headers("text/event-stream; charset=utf-8", body)
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<String>> {
        while !self.ended {
            let event = match self.first.pop_front() {
                Some(event) => Some(event),
                None => match self.events.receiver.poll_recv(context) {
                    Poll::Ready(event) => event,
                    Poll::Pending => {
                        ready!(self.deadline.as_mut().poll(context));
                        self.ended = true;
                        let failure = Failure::timed_out(self.timeout_secs);
                        return Poll::Ready(Some(lines(&[failure.to_json()], true)));
                    }
                },
            };
            let values = match event {
                Some((_, Event::Failed(refusal))) => {
                    self.ended = true;
                    return Poll::Ready(Some(lines(&[Failure::refused(refusal).to_json()], true)));
                }
                Some((index, event)) => {
                    self.open -= usize::from(matches!(event, Event::Done { .. }));
                    self.ended = self.open == 0;
                    let mut values = self.writer.write(index, event);
                    if self.ended {
                        values.extend(self.writer.end());
                    }
                    values
                }
                None => {
                    self.ended = true;
                    let broken = crate::Refusal::Broken("the engine gave up the request".into());
                    vec![Failure::refused(broken).to_json()]
                }
            };
            if !values.is_empty() || self.ended {
                return Poll::Ready(Some(lines(&values, self.ended)));
            }
        }
        Poll::Ready(None)
    }
}

fn lines(values: &[Value], ended: bool) -> String {
    let mut text: String = values.iter().map(|value| format!("data: {value}\n\n")).collect();
    if ended {
        text.push_str("data: [DONE]\n\n");
    }
    text
}

impl<W: Writer> HttpBody for EventStream<W> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = ready!(self.get_mut().next(context));
        Poll::Ready(text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}
