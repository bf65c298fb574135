//! The client of OpenAI-compatible servers: providers, vLLM, llama.cpp, Ollama.
//!
//! [`OpenAiClient`] is synchronous outside and concurrent inside: a call of
//! [`ChatModel::complete`](crate::ChatModel::complete) keeps up to `max_in_flight` requests under
//! way on the calling thread, over connections that are kept and reused, and hands each reply on as
//! it comes. Whatever fails for a passing reason is tried again, elsewhere where there is an
//! elsewhere; what fails for good is a [`ChatError::Endpoint`](crate::ChatError) that names it.
//!
//! The HTTP stack is hyper with rustls and ring: no system library, no second TLS implementation.
//! Redirects are not followed and keys travel only to the endpoint that they were named for.
//!
//! This module knows no chat template: where text must be rendered here, it is given a
//! [`RenderPrompt`].

mod adapters;
mod batch;
mod body;
mod client;
mod config;
mod endpoints;
mod exchange;
mod failure;
mod http;
mod rate;
mod render;
mod reply;
mod retry;
mod scorer;
mod secret;

pub use batch::{BatchConfig, OpenAiBatch};
pub use client::OpenAiClient;
pub use config::{
    Api, Dialect, EndpointConfig, Inexpressible, OpenAiConfig, Prefill, RetryPolicy, Thinking,
    TokenLimit,
};
pub use failure::Failure;
pub use render::{RenderFn, RenderPrompt};
pub use reply::{DetailedReply, TokenLogprob};
