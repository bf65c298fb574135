//! A provider's Batch API in memory, behind [`Server`]: what it was sent, and results in an order of its own.
#![allow(dead_code, reason = "each binary uses its part")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::server::{Act, Asked, Server, chat_json};

/// Files, batches, and how often the provider was asked to make one.
#[derive(Default)]
pub(crate) struct Provider {
    pub(crate) files: HashMap<String, String>,
    pub(crate) batches: Vec<Value>,
    pub(crate) polls: usize,
    /// Polls until a batch is done.
    pub(crate) takes: usize,
    /// The connection ends right after the first batch was made.
    pub(crate) loses_the_answer: bool,
    pub(crate) status: &'static str,
}

impl Provider {
    fn act(&mut self, asked: &Asked) -> Act {
        let route = asked.route.strip_prefix("/v1").unwrap();
        match (asked.method.as_str(), route) {
            ("POST", "/files") => {
                let id = format!("file-{}", self.files.len());
                let text = String::from_utf8(asked.body.clone()).unwrap();
                assert!(text.contains("name=\"purpose\"\r\n\r\nbatch\r\n"), "{text}");
                let lines: Vec<_> = text.lines().filter(|l| l.starts_with('{')).collect();
                self.files.insert(id.clone(), lines.join("\n"));
                Act::json(&json!({"id": id, "object": "file"}))
            }
            ("POST", "/batches") => {
                let mut batch = asked.json();
                assert_eq!(batch["endpoint"], "/v1/chat/completions");
                batch["id"] = json!(format!("batch_{}", self.batches.len()));
                batch["status"] = json!("in_progress");
                self.batches.push(batch.clone());
                match std::mem::take(&mut self.loses_the_answer) {
                    true => Act::Reset,
                    false => Act::json(&batch),
                }
            }
            ("GET", "/batches?limit=100") => Act::json(&json!({"data": self.batches})),
            ("GET", path) if path.starts_with("/batches/") => {
                self.polls += 1;
                let id = path.trim_start_matches("/batches/").to_owned();
                let mut batch = self.batches.iter().find(|b| b["id"] == *id).unwrap().clone();
                if self.polls > self.takes {
                    batch["status"] = json!(self.status);
                    batch["output_file_id"] = json!(format!("out-{id}"));
                }
                Act::json(&batch)
            }
            ("GET", path) => {
                let id = path.trim_start_matches("/files/out-").trim_end_matches("/content");
                let batch = self.batches.iter().find(|b| b["id"] == *id).unwrap();
                let input = &self.files[batch["input_file_id"].as_str().unwrap()];
                Act::Reply(200, vec![], self.results(input).into_bytes())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Results in reverse order, the first one twice, junk between; "bad" fails, "lost" is missing.
    fn results(&self, input: &str) -> String {
        let mut lines = vec!["{\"custom_id\": \"nobody's\"}".to_owned(), "junk".to_owned()];
        for line in input.lines().rev() {
            let line: Value = serde_json::from_str(line).unwrap();
            let messages = line["body"]["messages"].as_array().unwrap();
            let question = messages.last().unwrap()["content"].as_str().unwrap();
            let (status, body) = match question {
                "lost" => continue,
                "bad" => (400, json!({"error": {"message": "no"}})),
                _ => (200, chat_json(&format!("re: {question}"))),
            };
            let response = json!({"status_code": status, "body": body});
            lines.push(
                json!({"custom_id": line["custom_id"], "response": response, "error": null})
                    .to_string(),
            );
        }
        lines.extend(lines.get(2).cloned());
        lines.join("\n")
    }
}

/// Serves a provider until the server is dropped.
pub(crate) fn serve(provider: Provider) -> (Server, Arc<Mutex<Provider>>) {
    let provider = Arc::new(Mutex::new(provider));
    let inside = Arc::clone(&provider);
    let server = Server::start(move |asked| inside.lock().unwrap().act(asked));
    (server, provider)
}
