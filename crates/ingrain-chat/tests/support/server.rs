//! An HTTP server for tests and benchmarks that does what a script says, faults included.
//!
//! One thread a connection, HTTP/1.1 with keep-alive; knows nothing of chat but [`Asked::question`]
//! and [`chat_json`].
#![allow(dead_code, reason = "each binary uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// What came in.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) route: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What goes out.
pub(crate) enum Act {
    /// A whole response with this status, further header lines and body.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The same response twice in one write.
    Twice(Vec<u8>),
    /// A response whose body comes in so many pieces with pauses between.
    Drip(Vec<u8>, usize, Duration),
    /// Half of a body, then the end of the connection.
    Torn(Vec<u8>),
    /// Nothing for so long, then the end of the connection.
    Stall(Duration),
    /// The end of the connection at once.
    Reset,
}

/// A server at work until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (closing, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let script = Arc::new(script);
        let (flag, tally) = (Arc::clone(&closing), Arc::clone(&counts));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if flag.load(Ordering::SeqCst) {
                    break;
                }
                tally.connections.fetch_add(1, Ordering::SeqCst);
                let (script, tally) = (Arc::clone(&script), Arc::clone(&tally));
                std::thread::spawn(move || converse(&stream, &*script, &tally));
            }
        });
        Self { address, closing, counts }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn most_under_way(&self) -> usize {
        self.counts.most_under_way.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Text of the last message.
    pub(crate) fn question(&self) -> String {
        let json = self.json();
        let last = json["messages"].as_array().and_then(|m| m.last().cloned());
        last.and_then(|m| m["content"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

impl Act {
    pub(crate) fn json(value: &Value) -> Self {
        Self::status(200, value)
    }

    pub(crate) fn status(status: u16, value: &Value) -> Self {
        let kind = ("content-type", "application/json".to_owned());
        Self::Reply(status, vec![kind], value.to_string().into_bytes())
    }
}

/// A chat completion that says `text`.
pub(crate) fn chat_json(text: &str) -> Value {
    json!({
        "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "test",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

fn converse(stream: &TcpStream, script: &dyn Fn(&Asked) -> Act, counts: &Counts) {
    let _ = stream.set_nodelay(true);
    let mut input = BufReader::new(stream);
    while let Some(asked) = read_request(&mut input) {
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let now = counts.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        counts.most_under_way.fetch_max(now, Ordering::SeqCst);
        let go_on = perform(stream, script(&asked), counts);
        if go_on != Some(true) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// Whether the connection stays; `None` if it broke.
fn perform(mut out: &TcpStream, act: Act, counts: &Counts) -> Option<bool> {
    let json = || vec![("content-type", "application/json".to_owned())];
    // The client may have its reply before this thread goes on: count before writing.
    counts.under_way.fetch_sub(1, Ordering::SeqCst);
    match act {
        Act::Reply(status, headers, body) => {
            let mut bytes = head(status, &headers, body.len());
            bytes.extend_from_slice(&body);
            out.write_all(&bytes).ok()?;
            Some(true)
        }
        Act::Twice(body) => {
            let mut bytes = head(200, &json(), body.len());
            bytes.extend_from_slice(&body);
            out.write_all(&bytes.repeat(2)).ok()?;
            Some(true)
        }
        Act::Drip(body, pieces, pause) => {
            out.write_all(&head(200, &json(), body.len())).ok()?;
            for piece in body.chunks(body.len().div_ceil(pieces)) {
                std::thread::sleep(pause);
                out.write_all(piece).ok()?;
            }
            Some(true)
        }
        Act::Torn(body) => {
            out.write_all(&head(200, &json(), body.len())).ok()?;
            out.write_all(&body[..body.len() / 2]).ok()?;
            Some(false)
        }
        Act::Stall(pause) => {
            std::thread::sleep(pause);
            Some(false)
        }
        Act::Reset => Some(false),
    }
}

fn head(status: u16, headers: &[(&'static str, String)], length: usize) -> Vec<u8> {
    let lines: String = headers.iter().map(|(k, v)| format!("{k}: {v}\r\n")).collect();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{lines}\r\n").into_bytes()
}

fn read_request(input: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let mut words = line.split_whitespace();
    let (method, route) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|&n| n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(k, _)| k == "content-length");
    let length: usize = length.map_or(Some(0), |(_, v)| v.parse().ok())?;
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(Asked { method, route, headers, body })
}
