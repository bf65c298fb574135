//! Several servers behind one model.

use std::net::TcpListener;
use std::time::Duration;

use ingrain_chat::ChatModel;
use ingrain_chat::openai::{EndpointConfig, OpenAiConfig};
use serde_json::json;

use crate::server::{Act, Server, chat_json};
use crate::{ask, client, config};

fn both(first: &Server, second: &Server) -> OpenAiConfig {
    let mut config = config(first);
    config.endpoints.push(EndpointConfig { base_url: second.base_url(), api_key_env: None });
    config
}

fn answering(text: &'static str, millis: u64) -> Server {
    Server::start(move |_| {
        std::thread::sleep(Duration::from_millis(millis));
        Act::json(&chat_json(text))
    })
}

#[test]
fn when_one_server_fails_the_other_answers_everything() {
    let sick = Server::start(|_| Act::status(503, &json!({"error": "down"})));
    let well = answering("well", 1);
    let requests: Vec<_> = (0..100).map(|i| ask(&format!("q{i}"))).collect();
    let replies = client(both(&sick, &well)).complete_all(&requests);
    assert!(replies.iter().all(|r| r.as_ref().is_ok_and(|r| r.text == "well")));
    assert!(sick.requests() <= 100, "a sick server is passed over: {}", sick.requests());
}

#[test]
fn a_server_that_is_not_there_is_named_if_there_is_no_other() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = OpenAiConfig::new(format!("http://{nobody}/v1"), "m");
    config.inexpressible = ingrain_chat::openai::Inexpressible::Drop;
    config.retry.max_attempts = 2;
    config.retry.first_backoff_secs = 0.01;
    let error = client(config).complete_one(&ask("q")).unwrap_err().to_string();
    assert!(error.contains(&nobody.to_string()), "{error}");
    assert!(error.contains("cannot connect") && error.contains("attempt 2"), "{error}");
}

#[test]
fn the_faster_server_gets_more() {
    let (fast, slow) = (answering("fast", 2), answering("slow", 40));
    let mut config = both(&fast, &slow);
    config.max_in_flight = 8;
    let requests: Vec<_> = (0..300).map(|i| ask(&format!("q{i}"))).collect();
    let replies = client(config).complete_all(&requests);
    assert!(replies.iter().all(Result::is_ok));
    let (f, s) = (fast.requests(), slow.requests());
    assert!(s > 0 && f > 3 * s, "fast {f}, slow {s}");
}
