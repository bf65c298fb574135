//! The server over real connections.

use std::io::{Read, Write};
use std::net::TcpStream;

use ingrain_judge::read_labels;
use ingrain_run::Interrupt;
use ingrain_serve::{Annotation, AnnotationServer};
use serde_json::{Value, json};

use super::cases;
use crate::client::{Answer, parse};

struct Running {
    dir: tempfile::TempDir,
    address: String,
    interrupt: Interrupt,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(count: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let labels = dir.path().join("labels.jsonl");
        let sheet = Annotation::with_cases(cases(count), labels, 1).expect("opens");
        let server = AnnotationServer::bind(sheet, 0).expect("a free port");
        let url = server.url();
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let interrupt = Interrupt::new();
        let stop = interrupt.clone();
        let thread = std::thread::spawn(move || server.serve(&stop).expect("serves"));
        Self { dir, address, interrupt, thread: Some(thread) }
    }

    /// Sends a request with these headers.
    fn send(&self, line: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("answered");
        parse(&reply)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = format!("Host: {0}\r\nOrigin: http://{0}\r\n", self.address);
        self.send(&format!("POST {path}"), &headers, &body.to_string())
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

#[test]
fn a_rater_goes_through_all_pairs_and_never_learns_who_wrote_what() {
    let server = Running::start(3);
    let host = format!("Host: {}\r\n", server.address);
    let page = server.send("GET /", &host, "");
    assert!(page.status == 200 && page.body.contains("Which reply is better?"));
    for file in ["annotate.css", "annotate.js"] {
        assert!(page.body.contains(file));
        assert_eq!(server.send(&format!("GET /{file}"), &host, "").status, 200);
    }
    let mut answer = server.post("/api/item", &json!({"rater": "Ann"}));
    for done in 0..3 {
        let body = &answer.body;
        assert!(!body.contains("secret") && !body.contains("first"), "{body}");
        let shown = answer.json();
        assert_eq!(shown["progress"]["done"], done);
        let label = json!({"rater": "Ann", "index": shown["item"]["index"], "answer": "left"});
        answer = server.post("/api/label", &label);
    }
    let shown = answer.json();
    assert_eq!((&shown["item"], &shown["progress"]["done"]), (&Value::Null, &json!(3)));
    let labels = read_labels(server.dir.path().join("labels.jsonl")).expect("labels");
    assert_eq!(labels.len(), 3);
}

#[test]
fn other_pages_other_hosts_and_nonsense_are_refused() {
    let server = Running::start(2);
    let label = json!({"rater": "Ann", "index": 0, "answer": "left"}).to_string();
    let own = format!("Host: {}\r\n", server.address);
    for headers in [
        "Host: attacker.example\r\n".to_owned(),
        format!("{own}Origin: http://attacker.example\r\n"),
        format!("{own}Origin: null\r\n"),
    ] {
        assert_eq!(server.send("POST /api/label", &headers, &label).status, 403, "{headers}");
    }
    let big = format!("{{\"rater\":\"{}\"}}", "x".repeat(17_000));
    for (path, body, expected) in [
        ("/api/label", "not JSON", 400),
        ("/api/label", r#"{"rater":"Ann"}"#, 400),
        ("/api/label", r#"{"rater":"","index":0,"answer":"left"}"#, 400),
        ("/api/label", r#"{"rater":"Ann","index":9,"answer":"left"}"#, 404),
        ("/api/label", r#"{"rater":"Ann","index":0,"answer":"first"}"#, 400),
        ("/api/item", &big, 413),
        ("/labels.jsonl", "", 404),
    ] {
        let status = server.send(&format!("POST {path}"), &own, body).status;
        assert_eq!(status, expected, "{path} {body:.60}");
    }
    let labels = read_labels(server.dir.path().join("labels.jsonl")).expect("labels");
    assert!(labels.is_empty());
}
