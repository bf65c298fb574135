//! The client against real HTTP, with servers that behave and servers that do not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapters;
mod batch;
mod endpoints;
mod faults;
mod limits;
mod prefill;
#[path = "../support/provider.rs"]
mod provider;
mod scorer;
mod secrets;
#[path = "../support/server.rs"]
mod server;
mod tls;

use ingrain_chat::openai::{Inexpressible, OpenAiClient, OpenAiConfig, RetryPolicy};
use ingrain_chat::{ChatRequest, Message, Sampling};

use server::Server;

/// Quick to retry, quick to give up.
fn config(server: &Server) -> OpenAiConfig {
    config_for(&server.base_url())
}

fn config_for(url: &str) -> OpenAiConfig {
    OpenAiConfig {
        inexpressible: Inexpressible::Drop,
        request_timeout_secs: 5.0,
        retry: RetryPolicy {
            max_attempts: 4,
            first_backoff_secs: 0.01,
            max_backoff_secs: 0.05,
            max_retry_after_secs: 3.0,
        },
        ..OpenAiConfig::new(url, "test")
    }
}

fn client(config: OpenAiConfig) -> OpenAiClient {
    OpenAiClient::new(config).unwrap()
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(text)], Sampling::default())
}
