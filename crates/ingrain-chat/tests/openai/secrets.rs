//! Keys travel in one header and show up nowhere else.

use std::sync::{Arc, Mutex};

use ingrain_chat::openai::OpenAiClient;
use ingrain_chat::{Cached, ChatModel};
use serde_json::json;

use crate::server::{Act, Server};
use crate::{ask, config};

/// Set for the whole test binary by its configuration below; no test may change the environment
/// of a process with threads.
const VARIABLE: &str = "PATH";

#[test]
fn a_key_is_sent_and_is_in_no_message_file_or_debug_output() {
    // Any variable that is set will do as a key.
    let key = std::env::var(VARIABLE).unwrap();
    let got = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&got);
    let server = Server::start(move |asked| {
        let bearer = asked.header("authorization").unwrap().to_owned();
        let message = format!("Incorrect API key provided: {bearer}");
        *seen.lock().unwrap() = Some(bearer);
        Act::status(401, &json!({"error": {"message": message}}))
    });
    let mut config = config(&server);
    config.endpoints[0].api_key_env = Some(VARIABLE.to_owned());
    let client = OpenAiClient::new(config).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("cache.jsonl");
    let cached = Cached::open(client.clone(), client.cache_name(), &journal).unwrap();
    let error = cached.complete_one(&ask("q")).unwrap_err();

    assert_eq!(got.lock().unwrap().as_deref(), Some(format!("Bearer {key}").as_str()));
    let shown = [
        error.to_string(),
        format!("{error:?}"),
        format!("{client:?}"),
        client.cache_name(),
        serde_json::to_string(client.config()).unwrap(),
        std::fs::read_to_string(&journal).unwrap(),
    ];
    for text in shown {
        assert!(!text.contains(&key), "{text}");
    }
    assert!(error.to_string().contains("401"), "{error}");
    assert!(error.to_string().contains("[redacted]"), "{error}");
}

#[test]
fn without_a_named_variable_no_key_is_sent() {
    let server = Server::start(|asked| {
        assert_eq!(asked.header("authorization"), None);
        Act::Reset
    });
    let mut config = config(&server);
    config.retry.max_attempts = 1;
    let error = OpenAiClient::new(config).unwrap().complete_one(&ask("q")).unwrap_err();
    assert!(error.to_string().contains("broke"), "{error}");
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start(|_| {
        Act::Reply(307, vec![("location", "http://127.0.0.1:9/v1".to_owned())], Vec::new())
    });
    let error = OpenAiClient::new(config(&server)).unwrap().complete_one(&ask("q")).unwrap_err();
    assert!(error.to_string().contains("status 307"), "{error}");
    assert_eq!(server.requests(), 1);
}
