//! A server in a thread, and the plainest client there can be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ingrain_run::Interrupt;
use ingrain_serve::{Limits, ScriptedEngine, Server, ServerConfig};
use serde_json::Value;

pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) engine: Arc<ScriptedEngine>,
    pub(crate) interrupt: Interrupt,
    pub(crate) thread: Option<JoinHandle<()>>,
}

/// Status, head and body of a reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The objects of a stream, its end mark taken off.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut lines: Vec<&str> = self.body.split("\n\n").filter(|l| !l.is_empty()).collect();
        assert_eq!(lines.pop(), Some("data: [DONE]"));
        let value = |line: &&str| serde_json::from_str(line.strip_prefix("data: ").unwrap());
        lines.iter().map(|line| value(line).unwrap()).collect()
    }
}

impl Running {
    pub(crate) fn start(pause_ms: u64, limits: Limits, key: Option<&str>) -> Self {
        let engine = Arc::new(ScriptedEngine::new(Duration::from_millis(pause_ms)));
        let config = ServerConfig {
            address: ([127, 0, 0, 1], 0).into(),
            key: key.map(str::to_owned),
            limits,
        };
        let server = Server::bind(config, engine.clone()).unwrap();
        let address = server.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let interrupt = Interrupt::new();
        let stop = interrupt.clone();
        let thread = Some(std::thread::spawn(move || server.serve(&stop).unwrap()));
        Self { address, engine, interrupt, thread }
    }

    pub(crate) fn quick() -> Self {
        Self::start(0, Limits::default(), None)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.address), "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&self.head(path), &body.to_string())
    }

    pub(crate) fn head(&self, path: &str) -> String {
        let address = &self.address;
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n")
    }

    /// Sends a head, with the headers that every request needs added, and a body.
    pub(crate) fn send(&self, head: &str, body: &str) -> Answer {
        let mut stream = self.open(head, body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        parse(&bytes)
    }

    /// The connection, the request sent.
    pub(crate) fn open(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let request = format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Waits until the engine has nothing left to do.
    #[track_caller]
    pub(crate) fn wait_for_idle(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.engine.at_work() > 0 {
            assert!(Instant::now() < until, "{} jobs are still at work", self.engine.at_work());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.interrupt.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.push_str(&tail[..size]);
        rest = &tail[size + 2..];
    }
    body
}
