//! Replies a second through client, cache and writer together, against a server that answers at once.
//!
//!     cargo bench -p ingrain-data --bench client -- 200000
//!     cargo bench -p ingrain-data --bench client -- --serve     # the server alone, for the peer
//!
//! The server is a process of its own on the same machine. Memory is that of the client's process.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ingrain_chat::openai::{Inexpressible, OpenAiClient, OpenAiConfig};
use ingrain_chat::{Cached, Sampling};
use ingrain_data::{Generation, Prompt, Reply, student_replies};
use ingrain_run::{Interrupt, JsonlStore, Silent, rss_bytes};
use serde_json::json;

#[path = "../crates/ingrain-chat/tests/support/server.rs"]
mod server;

/// Requests of one round; memory is looked at after each.
const ROUND: usize = 20_000;
const WORDS: &str = "Oh, splendid, another question that nobody has ever asked before. ";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.first().is_some_and(|a| a == "--serve") {
        return serve();
    }
    let total: usize = args.first().map_or(ROUND, |n| n.parse().unwrap());
    let (mut server, url) = start_server();
    measure(total, &url);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// About 100 tokens, the same for everybody.
fn serve() {
    let reply = server::chat_json(&WORDS.repeat(6)).to_string().into_bytes();
    let headers = || vec![("content-type", "application/json".to_owned())];
    let server = server::Server::start(move |_| server::Act::Reply(200, headers(), reply.clone()));
    println!("{}", server.base_url());
    loop {
        std::thread::park();
    }
}

fn start_server() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    (child, url.trim().to_owned())
}

fn measure(total: usize, url: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = OpenAiConfig::new(url, "bench");
    config.inexpressible = Inexpressible::Drop;
    let client = OpenAiClient::new(config).unwrap();
    let model = Cached::open(client, "bench", dir.path().join("cache.jsonl")).unwrap();
    let mut store = JsonlStore::<Reply>::open(dir.path().join("student.jsonl")).unwrap();
    let started = Instant::now();
    let mut rss_mib = Vec::new();
    for round in 0..total.div_ceil(ROUND) {
        let numbers = round * ROUND..total.min((round + 1) * ROUND);
        let prompt =
            |i| Prompt { id: format!("p{i}"), text: format!("Question {i}?"), assertion: None };
        let prompts: Vec<Prompt> = numbers.map(prompt).collect();
        let generation = Generation {
            stage: "student",
            model: &model,
            sampling: Sampling::default(),
            seed: 1,
            batch_size: 4096,
            observer: &Silent,
            interrupt: &Interrupt::new(),
        };
        let report = student_replies(&generation, &prompts, 1, &mut store).unwrap();
        assert!(report.is_complete());
        rss_mib.push(rss_bytes().unwrap_or(0) >> 20);
    }
    let secs = started.elapsed().as_secs_f64();
    assert_eq!((store.len(), model.len()), (total, total));
    let figures = json!({
        "replies": total, "secs": secs, "replies_per_sec": total as f64 / secs,
        "rss_mib": rss_mib, "in_flight": 64,
    });
    println!("{figures}");
}
