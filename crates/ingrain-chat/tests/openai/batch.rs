//! The Batch API against a provider in memory, killed and started again at every step.

use std::sync::{Arc, Mutex};

use ingrain_chat::openai::{BatchConfig, OpenAiBatch};
use ingrain_chat::{ChatError, ChatModel, ChatRequest};

use crate::provider::{Provider, serve};
use crate::server::Server;
use crate::{ask, client, config};

struct Setup {
    provider: Arc<Mutex<Provider>>,
    server: Server,
    dir: tempfile::TempDir,
}

impl Setup {
    fn new(provider: Provider) -> Self {
        let (server, provider) = serve(provider);
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
