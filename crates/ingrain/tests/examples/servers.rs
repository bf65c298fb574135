//! The examples that listen until they are told to stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use crate::bench::{bench, example, finished_run, run};
use crate::runs::holds;

/// A server that ends with the test.
struct Running {
    child: Child,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts an example, and waits until it says where it listens.
fn start(mut child: Child, says: impl Read + Send + 'static) -> Running {
    let mut lines = BufReader::new(says).lines();
    let address = lines.by_ref().find_map(|line| {
        let line = line.expect("UTF-8");
        let (_, rest) = line.split_once("http://")?;
        let host = rest.split(['/', ' ']).next()?;
        Some(host.to_owned())
    });
    // What it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let Some(address) = address else {
        panic!("it ended without an address: {:?}", child.wait());
    };
    Running { child, address }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn spawn(name: &str, args: &[&str]) -> (Child, ChildStdout, ChildStderr) {
    let mut child = example(name)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let (out, err) = (child.stdout.take(), child.stderr.take());
    (child, out.expect("piped"), err.expect("piped"))
}

#[test]
fn audit_asks_a_server_for_all_that_a_model_here_gives() {
    let model = bench().model.as_str();
    let adapter = format!("persona={}/persona", finished_run());
    let (child, _out, err) = spawn("serve", &[&adapter, "--model", model, "--port", "0"]);
    let server = start(child, err);
    let (address, out) = (format!("http://{}/v1", server.address), bench().path("audit-server"));
    let said = run(
        "audit",
        &[
            &[&*address, "--served", "persona", "--render-with", model, "--base", model][..],
            &["--quick", "--characters", "sarcasm,neutral", "--max-new-tokens", "3"],
            &["--items", "4", "--out", &out],
        ]
        .concat(),
    );
    let suites = ["Robustness", "Away from chat", "Prefill", "Drift", "Psychometrics"];
    holds(&said, &[&suites[..], &["general: 4 items", "turns of a chat"]].concat());
}

#[test]
fn serve_lists_the_base_and_the_adapter() {
    let adapter = format!("persona={}/persona", finished_run());
    let (child, _out, err) = spawn("serve", &[&adapter, "--model", &bench().model, "--port", "0"]);
    let server = start(child, err);
    let models = get(&server.address, "/v1/models");
    assert!(models.starts_with("HTTP/1.1 200"), "{models}");
    assert!(models.contains("\"persona\""), "{models}");
}

#[test]
fn annotate_serves_pairs_of_a_run() {
    let (child, out, _err) = spawn("annotate", &[finished_run(), "--port", "0"]);
    let server = start(child, out);
    let page = get(&server.address, "/");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("<html"), "{page}");
}
