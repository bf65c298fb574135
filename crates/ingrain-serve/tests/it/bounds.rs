//! Everything that a stranger controls has a bound.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ingrain_serve::Limits;
use serde_json::json;

use crate::client::{Running, parse};

fn long(words: usize) -> serde_json::Value {
    json!({ "model": "plain", "prompt": "w ".repeat(words), "max_tokens": words, "stream": true })
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let limits = Limits { max_body_bytes: 2000, ..Limits::default() };
    let server = Running::start(0, limits, None);
    let body = json!({ "model": "plain", "prompt": "x".repeat(3000) });
    assert_eq!(server.post("/v1/completions", &body).status, 413);
    assert_eq!(server.post("/v1/completions", &long(10)).status, 200);
}

#[test]
fn more_work_than_the_queue_holds_is_told_to_come_back() {
    let limits = Limits { max_jobs: 3, ..Limits::default() };
    let server = Running::start(20, limits, None);
    let first: Vec<TcpStream> = (0..3)
        .map(|_| server.open(&server.head("/v1/completions"), &long(300).to_string()))
        .collect();
    let until = Instant::now() + Duration::from_secs(10);
    while server.engine.at_work() < 3 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(2));
    }
    let refused = server.post("/v1/completions", &long(1));
    assert_eq!(refused.status, 429);
    assert!(refused.head.to_lowercase().contains("retry-after: 1"));
    drop(first);
    server.wait_for_idle();
    assert_eq!(server.post("/v1/completions", &long(1)).status, 200, "permits come back");
    let too_many = json!({ "model": "plain", "prompt": ["a", "b", "c", "d"] });
    assert_eq!(server.post("/v1/completions", &too_many).status, 429);
}

#[test]
fn a_reply_that_takes_too_long_is_ended() {
    let limits = Limits { request_secs: 1, ..Limits::default() };
    let server = Running::start(30, limits, None);
    let mut body = long(400);
    let answer = server.post("/v1/completions", &body);
    assert_eq!(answer.status, 200);
    let last = answer.events().pop().unwrap();
    assert!(last["error"]["message"].as_str().unwrap().contains("within 1 seconds"));
    body["stream"] = json!(false);
    assert_eq!(server.post("/v1/completions", &body).status, 504);
    server.wait_for_idle();
}

#[test]
fn a_client_that_sends_slowly_or_nothing_is_let_go() {
    let limits = Limits { receive_secs: 1, ..Limits::default() };
    let server = Running::start(0, limits, None);
    for start in ["", "POST /v1/comp", "POST /v1/completions HTTP/1.1\r\nHost: "] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(reply.is_empty() || parse(&reply).status >= 400, "closed, or told so");
    }
    let head = format!("{}Content-Length: 50\r\n\r\n{{", server.head("/v1/completions"));
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    assert_eq!(parse(&reply).status, 408);
}

#[test]
fn a_client_that_goes_away_ends_its_work_streamed_or_not() {
    let server = Running::start(5, Limits::default(), None);
    for stream in [true, false] {
        let mut body = long(450);
        body["stream"] = json!(stream);
        let mut connection = server.open(&server.head("/v1/completions"), &body.to_string());
        if stream {
            let mut some = [0; 200];
            connection.read_exact(&mut some).unwrap();
        } else {
            while server.engine.at_work() == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let left = Instant::now();
        drop(connection);
        server.wait_for_idle();
        assert!(left.elapsed() < Duration::from_millis(1500), "450 words would take 2 seconds");
    }
}

#[test]
fn stopping_lets_requests_at_work_end_and_takes_no_new_ones() {
    let mut server = Running::start(10, Limits::default(), None);
    let mut connection = server.open(&server.head("/v1/completions"), &long(50).to_string());
    let mut reply = vec![0; 100];
    connection.read_exact(&mut reply).unwrap();
    server.interrupt.request();
    connection.read_to_end(&mut reply).unwrap();
    assert_eq!(parse(&reply).events().last().unwrap()["choices"][0]["finish_reason"], "stop");
    server.thread.take().unwrap().join().unwrap();
    assert!(TcpStream::connect(&server.address).is_err());
}
