//! Two thousand requests against a server that does everything wrong that a server can do.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingrain_chat::{Cached, ChatError, ChatModel, ChatRequest};
use serde_json::json;

use crate::server::{Act, Asked, Server, chat_json};
use crate::{ask, client, config};

const REQUESTS: usize = 2_000;
/// Name of the failure that each fault is, if it lasts.
const FAULTS: [&str; 16] = [
    "rate_limited", // with Retry-After in seconds
    "rate_limited", // without
    "rate_limited", // with Retry-After as a date
    "status",       // 500
    "broken",       // closed without a word
    "timed_out",    // stalls
    "malformed",    // JSON cut short, connection kept
    "broken",       // body cut short by the end of the connection
    "malformed",    // JSON of another shape
    "content_type", // HTML
    "no_choices",
    "too_large",  // 10 MB
    "timed_out",  // drips too slowly
    "error_body", // 200 with an error
    "",           // drips, but in time
    "",           // the reply comes twice
];

/// A tenth of the questions fails for good; of the others, two thirds fail once or twice.
fn fate(question: usize) -> (usize, usize) {
    let fault = question % FAULTS.len();
    let times = match question / FAULTS.len() % 10 {
        0 => usize::MAX,
        n => n % 3,
    };
    (fault, times)
}

fn question_number(asked: &Asked) -> usize {
    asked.question().trim_start_matches("question ").parse().unwrap()
}

fn good(question: usize) -> Vec<u8> {
    chat_json(&format!("answer {question}")).to_string().into_bytes()
}

fn json_reply(body: impl Into<Vec<u8>>) -> Act {
    Act::Reply(200, vec![("content-type", "application/json".into())], body.into())
}

fn do_wrong(fault: usize, question: usize) -> Act {
    let too_many = json!({"error": {"message": "slow down", "code": "rate_limit"}});
    let limited = |header: Option<(&'static str, &str)>| {
        let headers = header.map(|(k, v)| (k, v.to_owned())).into_iter().collect();
        Act::Reply(429, headers, too_many.to_string().into_bytes())
    };
    match fault {
        0 => limited(Some(("retry-after", "0.02"))),
        1 => limited(None),
        2 => limited(Some(("retry-after", "Mon, 01 Jan 2001 00:00:00 GMT"))),
        3 => Act::status(500, &json!({"error": {"message": "out of memory"}})),
        4 => Act::Reset,
        5 => Act::Stall(Duration::from_millis(900)),
        6 => json_reply(&good(question)[..40]),
        7 => Act::Torn(good(question)),
        8 => json_reply(r#"{"choices": {"message": 1}}"#),
        9 => {
            let page = "<html>Bad gateway</html>".into();
            Act::Reply(200, vec![("content-type", "text/html".into())], page)
        }
        10 => json_reply(r#"{"choices": []}"#),
        11 => json_reply(vec![b' '; 10 << 20]),
        12 => Act::Drip(good(question), 20, Duration::from_millis(60)),
        13 => json_reply(r#"{"error": {"message": "engine died"}}"#),
        14 => Act::Drip(good(question), 5, Duration::from_millis(20)),
        _ => Act::Twice(good(question)),
    }
}

#[test]
fn every_good_reply_is_kept_exactly_once_and_each_failure_named() {
    let asked = Arc::new(Mutex::new(HashMap::<usize, usize>::new()));
    let attempts = Arc::clone(&asked);
    let server = Server::start(move |asked| {
        let question = question_number(asked);
        let attempt = {
            let mut attempts = attempts.lock().unwrap();
            let count = attempts.entry(question).or_default();
            *count += 1;
            *count
        };
        let (fault, times) = fate(question);
        if attempt <= times { do_wrong(fault, question) } else { json_reply(good(question)) }
    });
    let mut config = config(&server);
    config.request_timeout_secs = 0.5;
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("cache.jsonl");
    let cached = Cached::open(client(config), "test", &journal).unwrap();
    let requests: Vec<ChatRequest> = (0..REQUESTS).map(|i| ask(&format!("question {i}"))).collect();

    let mut good_replies = HashMap::new();
    let mut failures: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut order = Vec::new();
    cached.complete(&requests, &mut |i, result| match result {
        Ok(reply) => {
            assert_eq!(reply.text, format!("answer {i}"));
            assert!(good_replies.insert(i, reply.text).is_none(), "reply {i} came twice");
            order.push(i);
        }
        Err(ChatError::Endpoint { failure, .. }) => {
            *failures.entry((i % FAULTS.len(), failure.name())).or_default() += 1;
        }
        Err(other) => panic!("question {i}: {other}"),
    });

    let lasts = |i: &usize| fate(*i).1 == usize::MAX && !FAULTS[i % FAULTS.len()].is_empty();
    let lost: Vec<usize> = (0..REQUESTS).filter(lasts).collect();
    let mut expected = BTreeMap::new();
    for i in &lost {
        let fault = i % FAULTS.len();
        *expected.entry((fault, FAULTS[fault])).or_default() += 1;
    }
    assert_eq!(failures, expected);
    assert_eq!(good_replies.len(), REQUESTS - lost.len());
    assert!(!order.is_sorted(), "replies come as they finish");
    let lines = std::fs::read_to_string(&journal).unwrap();
    assert_eq!(lines.lines().count(), good_replies.len(), "each good reply is on disk once");

    // What was answered is not asked again; what failed is.
    let before = asked.lock().unwrap().clone();
    cached.complete(&requests[..320], &mut |_, _| {});
    let after = asked.lock().unwrap().clone();
    for i in 0..320 {
        assert_eq!(after[&i] > before[&i], lasts(&i), "question {i}");
    }
}
