//! `push` without a network: what it would send, and what it sends to a hub on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bench::{bench, example, finished_run, run, succeeded};

/// A request: method and target, whether it showed the token, body.
type Seen = Arc<Mutex<Vec<(String, bool, Vec<u8>)>>>;

/// Answers every request by `answer` until the test ends.
fn server(answer: impl Fn(&str, &[u8]) -> (u16, Value) + Send + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let seen = Seen::default();
    let log = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = one(stream.expect("a connection"), &answer, &log);
        }
    });
    (address, seen)
}

fn one(
    mut stream: TcpStream,
    answer: &impl Fn(&str, &[u8]) -> (u16, Value),
    seen: &Seen,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let target = first.rsplit_once(' ').map_or("", |(target, _)| target).to_owned();
    let (mut length, mut token) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap_or_default();
        }
        token |= line == "authorization: bearer hf_secret";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, said) = answer(&target, &body);
    seen.lock().expect("not poisoned").push((target, token, body));
    let said = said.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
        said.len()
    )
}

#[test]
fn a_dry_run_says_what_would_go_and_sends_nothing() {
    let folder = format!("{}/persona", finished_run());
    let printed = run("push", &[folder.as_str(), "org/tiny", "--dry-run"]);
    for part in
        ["README.md", "adapter_config.json", "selftest.json", "nothing was sent to org/tiny"]
    {
        assert!(printed.contains(part), "no {part:?} in {printed}");
    }
    let files: Value =
        serde_json::from_str(&run("push", &[folder.as_str(), "org/tiny", "--dry-run", "--json"]))
            .expect("JSON");
    assert_eq!(files["commit"], Value::Null);
    assert!(files["files"][0]["sha256"].as_str().is_some_and(|hash| hash.len() == 64));
}

#[test]
fn of_a_dataset_goes_what_its_card_names() {
    let folder = bench().path("dataset");
    fs::create_dir_all(&folder).expect("a folder");
    let card =
        "---\nconfigs:\n- config_name: \"pairs\"\n  data_files: \"pairs.jsonl\"\n---\n\n# Pairs\n";
    for (name, text) in [("README.md", card), ("pairs.jsonl", "{}\n"), ("teacher.jsonl", "{}\n")] {
        fs::write(format!("{folder}/{name}"), text).expect("written");
    }
    let printed = run("push", &[folder.as_str(), "org/pairs", "--dataset", "--dry-run"]);
    assert!(printed.contains("README.md") && printed.contains("  pairs.jsonl"), "{printed}");
    assert!(!printed.contains("teacher.jsonl"), "{printed}");
}

#[test]
fn a_folder_without_a_card_or_without_a_token_is_refused() {
    let refused = |folder: &str| {
        let output = example("push").args([folder, "org/tiny"]).output().expect("starts");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    assert!(refused(&format!("{}/distillation", finished_run())).contains("README.md is missing"));
    let message = refused(&format!("{}/persona", finished_run()));
    assert!(message.contains("HF_TOKEN"), "{message}");
}

#[test]
fn large_files_go_to_their_place_first_and_one_commit_holds_everything() {
    let (storage, stored) = server(|_, _| (200, json!({})));
    let (hub, asked) = server(move |target, body| {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match target {
            "POST /api/repos/create" => (409, json!({"error": "it is there"})),
            "POST /api/models/org/tiny/preupload/main" => {
                let mode = |file: &Value| {
                    let path = file["path"].as_str().unwrap_or_default();
                    let large = path.ends_with(".safetensors");
                    json!({"path": path, "uploadMode": if large { "lfs" } else { "regular" }})
                };
                let files = body["files"].as_array().map(|files| files.iter().map(mode).collect());
                (200, json!({"files": Value::Array(files.unwrap_or_default())}))
            }
            "POST /org/tiny.git/info/lfs/objects/batch" => {
                let place = json!({"upload": {"href": format!("{storage}/bucket/x?signed=1")}});
                let oid = &body["objects"][0]["oid"];
                (200, json!({"objects": [{"oid": oid, "size": 1, "actions": place}]}))
            }
            "POST /api/models/org/tiny/commit/main" => {
                (200, json!({"commitUrl": "https://hub/org/tiny/commit/1"}))
            }
            _ => (404, json!({})),
        }
    });
    let folder = format!("{}/persona", finished_run());
    let output = example("push")
        .args([folder.as_str(), "org/tiny", "--message", "First"])
        .env("HF_ENDPOINT", &hub)
        .env("HF_TOKEN", "hf_secret")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("starts");
    let printed = succeeded("push", &output);
    assert!(printed.contains("https://hub/org/tiny/commit/1"), "{printed}");

    let weights = fs::read(format!("{folder}/adapter_model.safetensors")).expect("an adapter");
    let stored = stored.lock().expect("not poisoned");
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].0, "PUT /bucket/x?signed=1");
    assert!(!stored[0].1, "the token is the hub's alone");
    assert!(stored[0].2 == weights, "the bytes of the adapter");

    let asked = asked.lock().expect("not poisoned");
    assert!(asked.iter().all(|(_, token, _)| *token), "each request shows who asks");
    let (last, _, commit) = asked.last().expect("a commit");
    assert_eq!(last, "POST /api/models/org/tiny/commit/main");
    let lines: Vec<Value> = String::from_utf8_lossy(commit)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON lines"))
        .collect();
    assert_eq!(lines[0]["value"]["summary"], "First");
    let keys: Vec<&str> = lines.iter().filter_map(|line| line["key"].as_str()).collect();
    assert_eq!(keys.iter().filter(|key| **key == "lfsFile").count(), 1);
    let card = lines.iter().find(|line| line["value"]["path"] == "README.md").expect("the card");
    assert_eq!(card["value"]["encoding"], "base64");
}
