//! Many clients at once, some of them bad.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ingrain_run::rss_bytes;
use ingrain_serve::Limits;
use serde_json::json;

use crate::client::Running;

const CLIENTS: usize = 64;
const TIME: Duration = Duration::from_secs(4);

/// One client's turn: good, malformed, or gone in mid-stream.
fn turn(server: &Running, client: usize, round: usize) {
    let text = format!("client {client} round {round} says hello");
    let mut body = json!({
        "model": "loud", "messages": [{ "role": "user", "content": text }], "stream": round % 2 == 0,
    });
    match (client + round) % 8 {
        5 => {
            let garbage = ["{", "\u{0}", "{\"model\": 3}", ""][round % 4];
            assert_eq!(server.send(&server.head("/v1/chat/completions"), garbage).status, 400);
        }
        6 => {
            body["stream"] = json!(true);
            let mut stream = server.open(&server.head("/v1/chat/completions"), &body.to_string());
            stream.read_exact(&mut [0; 40]).unwrap();
        }
        7 => {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let _ = stream.write_all(&b"\x16\x03\x01 not HTTP at all\r\n\r\n"[round % 3..]);
        }
        _ => {
            let answer = server.post("/v1/chat/completions", &body);
            assert_eq!(answer.status, 200, "{answer:?}");
            let found = match round % 2 {
                0 => answer
                    .events()
                    .iter()
                    .filter_map(|e| e["choices"][0]["delta"]["content"].as_str())
                    .collect(),
                _ => answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned(),
            };
            assert_eq!(found, text.to_uppercase());
        }
    }
}

#[test]
fn sixty_four_clients_get_every_good_answer_and_leave_nothing_behind() {
    let server = Running::start(1, Limits::default(), None);
    turn(&server, 0, 0);
    let before = rss_bytes();
    let started = Instant::now();
    let turns: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let server = &server;
                scope.spawn(move || {
                    let mut round = 0;
                    while started.elapsed() < TIME {
                        turn(server, client, round);
                        round += 1;
                    }
                    round
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(turns > CLIENTS * 5, "only {turns} turns");
    server.wait_for_idle();
    turn(&server, 0, 1);
    if let (Some(before), Some(after)) = (before, rss_bytes()) {
        assert!(after < before + (64 << 20), "from {before} to {after} bytes");
    }
}
