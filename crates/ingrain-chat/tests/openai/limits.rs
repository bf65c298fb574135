//! How hard a server is pushed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingrain_chat::openai::OpenAiConfig;
use ingrain_chat::{ChatError, ChatModel, ChatRequest};
use ingrain_run::Interrupt;
use serde_json::json;

use crate::server::{Act, Server, chat_json};
use crate::{ask, client, config};

fn slow(millis: u64) -> Server {
    Server::start(move |_| {
        std::thread::sleep(Duration::from_millis(millis));
        Act::json(&chat_json("ok"))
    })
}

fn requests(n: usize) -> Vec<ChatRequest> {
    (0..n).map(|i| ask(&format!("q{i}"))).collect()
}

#[test]
fn so_many_requests_are_under_way_and_connections_are_reused() {
    let server = slow(5);
    let client = client(OpenAiConfig { max_in_flight: 8, ..config(&server) });
    let replies = client.complete_all(&requests(200));
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(server.most_under_way(), 8);
    assert!(server.connections() <= 9, "{} connections", server.connections());
}

#[test]
fn two_threads_share_one_limit() {
    let server = slow(5);
    let client = client(OpenAiConfig { max_in_flight: 4, ..config(&server) });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(client.complete_all(&requests(40)).iter().all(Result::is_ok)));
        }
    });
    assert_eq!(server.most_under_way(), 4);
}

#[test]
fn a_request_rate_is_kept() {
    let server = slow(0);
    // 10 a second, the first 10 at once.
    let client = client(OpenAiConfig { requests_per_minute: Some(600), ..config(&server) });
    let started = Instant::now();
    client.complete_all(&requests(20));
    let took = started.elapsed().as_secs_f64();
    assert!((0.9..3.0).contains(&took), "{took}");
}

#[test]
fn retry_after_stops_all_requests_until_it_is_over() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let server = Server::start(move |_| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        match seen.len() {
            1 => {
                let pause = ("retry-after", "1".to_owned());
                Act::Reply(429, vec![pause], b"{}".to_vec())
            }
            _ => Act::json(&chat_json("ok")),
        }
    });
    let client = client(OpenAiConfig { max_in_flight: 1, ..config(&server) });
    assert!(client.complete_all(&requests(3)).iter().all(Result::is_ok));
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 4);
    let pause = (times[1] - times[0]).as_secs_f64();
    assert!((0.95..2.0).contains(&pause), "{pause}");
}

#[test]
fn a_pause_longer_than_allowed_and_a_used_up_quota_fail_at_once() {
    for (headers, body, name) in [
        (vec![("retry-after", "3600".to_owned())], json!({}), "rate_limited"),
        (
            vec![],
            json!({"error": {"message": "pay", "code": "insufficient_quota"}}),
            "quota_used_up",
        ),
    ] {
        let server =
            Server::start(move |_| Act::Reply(429, headers.clone(), body.to_string().into_bytes()));
        let error = client(config(&server)).complete_one(&ask("q")).unwrap_err();
        let ChatError::Endpoint { failure, attempts, .. } = error else { panic!("{error}") };
        assert_eq!((failure.name(), attempts), (name, 1));
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn an_interrupt_lets_requests_under_way_finish_and_sends_no_more() {
    let interrupt = Interrupt::new();
    let flag = interrupt.clone();
    let server = Server::start(move |_| {
        flag.request();
        std::thread::sleep(Duration::from_millis(50));
        Act::json(&chat_json("ok"))
    });
    let config = OpenAiConfig { max_in_flight: 3, ..config(&server) };
    let client = client(config).with_interrupt(interrupt);
    let results = client.complete_all(&requests(30));
    let answered = results.iter().filter(|r| r.is_ok()).count();
    let stopped = results.iter().filter(|r| matches!(r, Err(ChatError::Interrupted))).count();
    assert!((1..=3).contains(&answered), "{answered}");
    assert_eq!((answered + stopped, server.requests()), (30, answered));
}
