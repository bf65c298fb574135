//! The Batch API against a provider in memory, killed and started again at every step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ingrain_chat::openai::{BatchConfig, OpenAiBatch};
use ingrain_chat::{ChatError, ChatModel, ChatRequest};
use serde_json::{Value, json};

use crate::server::{Act, Asked, Server, chat_json};
use crate::{ask, client, config};

/// Files, batches, and how often the provider was asked to make one.
#[derive(Default)]
struct Provider {
    files: HashMap<String, String>,
    batches: Vec<Value>,
    polls: usize,
    /// Polls until a batch is done.
    takes: usize,
    /// The connection ends right after the first batch was made.
    loses_the_answer: bool,
    status: &'static str,
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
            let question = line["body"]["messages"][0]["content"].as_str().unwrap();
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

struct Setup {
    provider: Arc<Mutex<Provider>>,
    server: Server,
    dir: tempfile::TempDir,
}

impl Setup {
    fn new(provider: Provider) -> Self {
        let provider = Arc::new(Mutex::new(provider));
        let inside = Arc::clone(&provider);
        let server = Server::start(move |asked| inside.lock().unwrap().act(asked));
        Self { provider, server, dir: tempfile::tempdir().unwrap() }
    }

    /// As a new process would.
    fn model(&self) -> OpenAiBatch {
        let batch = BatchConfig { max_requests: 3, poll_secs: 0.01, ..BatchConfig::default() };
        OpenAiBatch::new(client(config(&self.server)), batch, self.dir.path()).unwrap()
    }

    fn batches(&self) -> usize {
        self.provider.lock().unwrap().batches.len()
    }
}

fn provider() -> Provider {
    Provider { takes: 3, status: "completed", ..Provider::default() }
}

fn requests(texts: &[&str]) -> Vec<ChatRequest> {
    texts.iter().map(|text| ask(text)).collect()
}

#[test]
fn replies_find_their_requests_and_a_second_process_pays_nothing() {
    let setup = Setup::new(provider());
    let requests = requests(&["a", "b", "a", "c", "d"]);
    for _ in 0..2 {
        let replies = setup.model().complete_all(&requests);
        let texts: Vec<_> = replies.into_iter().map(|r| r.unwrap().text).collect();
        assert_eq!(texts, ["re: a", "re: b", "re: a", "re: c", "re: d"]);
        assert_eq!(setup.batches(), 2, "five requests, three a batch");
    }
}

#[test]
fn a_process_that_stops_while_waiting_is_followed_by_one_that_waits_on() {
    let setup = Setup::new(Provider { takes: usize::MAX, ..provider() });
    let requests = requests(&["a", "b"]);
    let interrupt = ingrain_run::Interrupt::new();
    let batch = BatchConfig { poll_secs: 0.05, ..BatchConfig::default() };
    let client = client(config(&setup.server)).with_interrupt(interrupt.clone());
    let model = OpenAiBatch::new(client, batch, setup.dir.path()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| model.complete_all(&requests));
        while setup.provider.lock().unwrap().polls == 0 {
            std::thread::yield_now();
        }
        interrupt.request();
        assert!(matches!(waiting.join().unwrap()[0], Err(ChatError::Interrupted)));
    });
    setup.provider.lock().unwrap().takes = 0;
    assert!(setup.model().complete_all(&requests).iter().all(Result::is_ok));
    assert_eq!(setup.batches(), 1);
}

#[test]
fn a_batch_whose_making_was_not_confirmed_is_found_again_and_not_made_twice() {
    let setup = Setup::new(Provider { loses_the_answer: true, ..provider() });
    let replies = setup.model().complete_all(&requests(&["a"]));
    assert_eq!(replies[0].as_ref().unwrap().text, "re: a");
    assert_eq!(setup.batches(), 1);
}

#[test]
fn failed_and_missing_lines_are_named_and_only_they_are_sent_again() {
    let setup = Setup::new(Provider { status: "expired", ..provider() });
    let requests = requests(&["a", "bad", "lost"]);
    let names = |model: OpenAiBatch| -> Vec<String> {
        let name = |r: Result<ingrain_chat::ChatReply, ChatError>| match r {
            Ok(reply) => reply.text,
            Err(ChatError::Endpoint { failure, .. }) => failure.name().to_owned(),
            Err(other) => other.to_string(),
        };
        model.complete_all(&requests).into_iter().map(name).collect()
    };
    let expected = ["re: a", "status", "missing_from_batch"];
    assert_eq!(names(setup.model()), expected);
    assert_eq!(names(setup.model()), expected);
    let provider = setup.provider.lock().unwrap();
    let sent: Vec<usize> = provider.files.values().map(|f| f.lines().count()).collect();
    assert_eq!(sent.iter().sum::<usize>(), 3 + 1, "the lost one again: {sent:?}");
}
