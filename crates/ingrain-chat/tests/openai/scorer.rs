//! Log-probabilities of given text.

use ingrain_chat::openai::{Dialect, RenderFn};
use ingrain_chat::{Message, ScoreRequest, Scorer};
use serde_json::json;

use crate::server::{Act, Asked, Server};
use crate::{client, config};

/// Words are tokens; each has minus its length as log-probability. One word is generated.
fn echo(asked: &Asked) -> Act {
    let json = asked.json();
    assert_eq!((json["echo"].as_bool(), json["max_tokens"].as_u64()), (Some(true), Some(1)));
    let prompt = json["prompt"].as_str().unwrap().to_owned();
    let mut tokens: Vec<&str> = prompt.split_inclusive(' ').collect();
    tokens.push("more");
    let mut logprobs: Vec<_> = tokens.iter().map(|t| json!(-(t.len() as f64))).collect();
    logprobs[0] = json!(null);
    let ids: Vec<usize> = (0..tokens.len() - 1).map(|i| 100 + i).collect();
    let mut choice = json!({"text": prompt, "finish_reason": "length",
        "logprobs": {"tokens": tokens, "token_logprobs": logprobs, "text_offset": []}});
    if json["return_token_ids"] == true {
        choice["prompt_token_ids"] = json!(ids);
    }
    Act::json(&json!({ "choices": [choice] }))
}

fn render(end: &'static str) -> impl Fn(&[Message]) -> Result<String, ingrain_chat::ChatError> {
    move |m| Ok(m.iter().map(|m| format!("{} ", m.content)).collect::<String>() + end)
}

#[test]
fn only_the_continuation_is_scored_end_of_turn_included() {
    let server = Server::start(echo);
    let request = ScoreRequest {
        messages: vec![Message::user("one two three")],
        continuation: "four five".into(),
    };
    for (dialect, ids) in [(Dialect::Vllm, vec![103, 104, 105]), (Dialect::LlamaCpp, vec![])] {
        let mut config = config(&server);
        config.dialect = dialect;
        let client =
            client(config).with_renderer(RenderFn { open: render(""), closed: render("<end>") });
        let scores = client.logprobs(&[request.clone(), request.clone()]);
        for score in scores {
            let score = score.unwrap();
            assert_eq!(score.logprobs, [-5.0, -5.0, -5.0]);
            assert_eq!(score.token_ids, ids);
        }
    }
}

#[test]
fn a_server_that_cannot_score_is_told_apart_from_a_broken_one() {
    let server =
        Server::start(|_| Act::json(&json!({"choices": [{"text": "x", "logprobs": null}]})));
    let client =
        client(config(&server)).with_renderer(RenderFn { open: render(""), closed: render("") });
    let request = ScoreRequest { messages: vec![Message::user("a")], continuation: "b".into() };
    let error = client.logprobs(&[request])[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("cannot score"), "{error}");
}
