//! What OpenAI's clients send and expect.

use ingrain_serve::Limits;
use serde_json::{Value, json};

use crate::client::Running;

fn chat(content: &str, more: Value) -> Value {
    let messages = json!([{ "role": "user", "content": content }]);
    with(json!({ "model": "plain", "messages": messages }), more)
}

fn with(mut body: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn models_are_listed_and_found_by_name() {
    let server = Running::quick();
    let list = server.get("/v1/models").json();
    assert_eq!(list["object"], "list");
    let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    assert_eq!(ids, ["plain", "loud"]);
    assert_eq!(server.get("/v1/models/loud").json()["has_adapter"], true);
    // Clients write the slash of `org/name` so; any character may come so.
    assert_eq!(server.get("/v1/models/l%6Fud").json()["id"], "loud");
    assert_eq!(server.get("/v1/models/%ff%2Floud").status, 404);
    let missing = server.get("/v1/models/quiet");
    assert_eq!(missing.status, 404);
    assert!(missing.json()["error"]["message"].as_str().unwrap().contains("/v1/models"));
}

#[test]
fn a_chat_is_answered_whole() {
    let server = Running::quick();
    let reply = server.post("/v1/chat/completions", &chat("one two three", json!({})));
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = reply.json();
    assert_eq!(reply["object"], "chat.completion");
    let choice = &reply["choices"][0];
    assert_eq!(
        choice["message"],
        json!({ "role": "assistant", "content": "ONE TWO THREE", "refusal": null })
    );
    assert_eq!(choice["finish_reason"], "stop");
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6 });
    assert_eq!(reply["usage"], usage);
    assert!(reply["id"].as_str().unwrap().starts_with("chatcmpl-"));
}

#[test]
fn a_chat_streams_role_text_reason_and_usage() {
    let server = Running::quick();
    let more =
        json!({ "stream": true, "stream_options": { "include_usage": true }, "max_tokens": 2 });
    let reply = server.post("/v1/chat/completions", &chat("one two three", more));
    assert!(reply.head.contains("text/event-stream"), "{}", reply.head);
    let events = reply.events();
    let deltas: Vec<&Value> =
        events[..events.len() - 1].iter().map(|e| &e["choices"][0]["delta"]).collect();
    assert_eq!(*deltas[0], json!({ "role": "assistant", "content": "" }));
    assert_eq!(*deltas[1], json!({ "content": "ONE " }));
    assert_eq!(*deltas[2], json!({ "content": "TWO " }));
    assert_eq!(events[3]["choices"][0]["finish_reason"], "length");
    assert_eq!(events[4]["choices"], json!([]));
    assert_eq!(events[4]["usage"]["completion_tokens"], 2);
    assert!(
        events.iter().all(|e| e["object"] == "chat.completion.chunk" && e["id"] == events[0]["id"])
    );
}

#[test]
fn content_may_come_in_parts_and_choices_in_numbers() {
    let server = Running::quick();
    let parts = json!([{ "type": "text", "text": "a " }, { "type": "text", "text": "b" }]);
    let body = json!({
        "model": "plain", "n": 3, "messages": [{ "role": "user", "content": parts }],
        "user": "someone", "store": false, "stop": null, "temperature": 0,
    });
    let reply = server.post("/v1/chat/completions", &body).json();
    let texts: Vec<&Value> =
        reply["choices"].as_array().unwrap().iter().map(|c| &c["message"]["content"]).collect();
    assert_eq!(texts, ["A B", "A B", "A B"]);
    assert_eq!(reply["usage"]["prompt_tokens"], 2, "the choices share their prompt");
    assert_eq!(reply["usage"]["completion_tokens"], 6);
}

#[test]
fn chat_logprobs_name_each_token() {
    let server = Running::quick();
    let more = json!({ "logprobs": true, "top_logprobs": 0 });
    let reply = server.post("/v1/chat/completions", &chat("hi you", more)).json();
    let tokens = reply["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);
    assert_eq!((&tokens[0]["token"], &tokens[0]["logprob"]), (&json!("HI "), &json!(-0.25)));
    assert_eq!(tokens[0]["bytes"], json!([72, 73, 32]));
}

#[test]
fn echo_with_logprobs_scores_prompts_given_as_text_or_ids() {
    let server = Running::quick();
    for (prompt, texts) in [
        (json!("a b c"), vec!["a b cA "]),
        (json!(["a b", "c"]), vec!["a bA ", "cC"]),
        (json!([5, 6]), vec!["5 6 5 "]),
        (json!([[5, 6], [7]]), vec!["5 6 5 ", "7 7 "]),
    ] {
        let body = json!({
            "model": "plain", "prompt": prompt, "max_tokens": 1, "echo": true, "logprobs": 1,
            "temperature": 0, "seed": 1234,
        });
        let reply = server.post("/v1/completions", &body).json();
        let choices = reply["choices"].as_array().unwrap();
        let found: Vec<&Value> = choices.iter().map(|c| &c["text"]).collect();
        assert_eq!(found, texts);
        for (index, choice) in choices.iter().enumerate() {
            assert_eq!(choice["index"], index);
            let logprobs = &choice["logprobs"];
            let lists = ["tokens", "token_logprobs", "top_logprobs", "text_offset"]
                .map(|key| logprobs[key].as_array().unwrap());
            assert!(lists.iter().all(|list| list.len() == lists[0].len()));
            let tokens: String = lists[0].iter().map(|t| t.as_str().unwrap()).collect();
            assert_eq!(choice["text"], tokens);
            assert_eq!((&lists[1][0], &lists[2][0]), (&Value::Null, &Value::Null));
            assert_eq!(lists[3][1], lists[0][0].as_str().unwrap().len());
            let last = lists[0].len() - 1;
            assert_eq!(lists[1][last], -0.25);
            assert_eq!(lists[2][last][lists[0][last].as_str().unwrap()], -0.25, "the token itself");
        }
    }
}

#[test]
fn a_completion_streams_and_stops_at_sixteen_tokens_by_itself() {
    let server = Running::quick();
    let words = "w ".repeat(20);
    let body = json!({ "model": "plain", "prompt": words, "stream": true });
    let events = server.post("/v1/completions", &body).events();
    let text: String = events.iter().map(|e| e["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, "W ".repeat(16));
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let server = Running::quick();
    for (more, says) in [
        (json!({ "model": "quiet" }), "no model of that name"),
        (json!({ "messages": [] }), "messages is empty"),
        (json!({ "messages": [{ "role": "tool", "content": "x" }] }), "unknown role \"tool\""),
        (json!({ "messages": [{ "role": "user" }] }), "no content"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            "image_url",
        ),
        (json!({ "messages": "hello" }), "not a request"),
        (json!({ "temperature": -1 }), "temperature must be between"),
        (json!({ "top_p": 7 }), "top_p must be between"),
        (json!({ "n": 0 }), "n must be between 1 and 128"),
        (json!({ "n": 129 }), "n must be between 1 and 128"),
        (json!({ "logprobs": true, "top_logprobs": 21 }), "top_logprobs may be 20"),
        (json!({ "presence_penalty": 0.5 }), "presence_penalty is not supported"),
        (json!({ "logit_bias": { "5": 1 } }), "logit_bias is not supported"),
        (json!({ "tools": [{}] }), "tools is not supported"),
        (json!({ "response_format": { "type": "json_object" } }), "response_format"),
        (json!({ "adapter_strength": 99 }), "adapter_strength must be between"),
        (json!({ "messages": [{ "role": "user", "content": "x".repeat(1001) }] }), "too long"),
    ] {
        for stream in [false, true] {
            let body = with(chat("hello", more.clone()), json!({ "stream": stream }));
            let reply = server.post("/v1/chat/completions", &body);
            assert!((400..500).contains(&reply.status), "{more}: {reply:?}");
            let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(says), "{more}: {message}");
        }
    }
    // What means nothing is no reason to refuse.
    let harmless = json!({ "presence_penalty": 0, "logit_bias": {}, "tools": [], "response_format": { "type": "text" } });
    assert_eq!(server.post("/v1/chat/completions", &chat("hello", harmless)).status, 200);
    let body = json!({ "model": "plain", "prompt": [], "max_tokens": 1 });
    assert_eq!(server.post("/v1/completions", &body).status, 400);
    server.wait_for_idle();
}

#[test]
fn unknown_paths_methods_and_bodies_get_an_error_in_the_same_form() {
    let server = Running::quick();
    for (answer, status) in [
        (server.get("/nowhere"), 404),
        (server.get("/v1/chat/completions"), 405),
        (server.post("/v1/models", &json!({})), 405),
        (server.send(&server.head("/v1/completions"), "{\"model\":"), 400),
        (server.send(&server.head("/v1/completions"), "\u{0}\u{1}"), 400),
        (server.send(&server.head("/v1/completions"), &"[".repeat(100_000)), 400),
        (server.send(&server.head("/v1/completions"), ""), 400),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[test]
fn with_a_key_everything_under_v1_asks_for_it() {
    let server = Running::start(0, Limits::default(), Some("open sesame"));
    assert_eq!(server.get("/v1/models").status, 401);
    assert_eq!(server.post("/v1/completions", &json!({})).status, 401);
    assert_eq!(server.get("/").status, 200, "the page holds nothing secret and asks for the key");
    let head =
        format!("GET /v1/models HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer ", server.address);
    assert_eq!(server.send(&format!("{head}open sesame\r\n"), "").status, 200);
    assert_eq!(server.send(&format!("{head}open\r\n"), "").status, 401);
}

#[test]
fn the_page_allows_no_script_but_its_own() {
    let server = Running::quick();
    for (path, kind) in
        [("/", "text/html"), ("/chat.js", "text/javascript"), ("/chat.css", "text/css")]
    {
        let answer = server.get(path);
        assert_eq!(answer.status, 200);
        let head = answer.head.to_lowercase();
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self'"));
        assert!(head.contains("x-content-type-options: nosniff"));
    }
    let page = server.get("/").body;
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("onclick"));
    assert!(!server.get("/chat.js").body.contains("innerHTML"));
    // Labels are laid out by the style, which would otherwise win over the attribute.
    assert!(page.contains("hidden>Key") && server.get("/chat.css").body.contains("[hidden] {"));
    let head = format!(
        "GET /v1/models HTTP/1.1\r\nHost: {0}\r\nOrigin: http://evil.example\r\n",
        server.address
    );
    assert_eq!(server.send(&head, "").status, 403);
    assert_eq!(server.send("GET / HTTP/1.1\r\nHost: evil.example\r\n", "").status, 403);
}
