//! Going on where an assistant message stops.

use ingrain_chat::openai::{Dialect, Prefill, RenderFn};
use ingrain_chat::{ChatError, ChatModel, Message};
use serde_json::json;

use crate::server::{Act, Server, chat_json};
use crate::{ask, client, config};

#[test]
fn a_prefilled_message_is_continued_by_the_server_or_rendered_here() {
    let server = Server::start(|asked| {
        let json = asked.json();
        match asked.route.as_str() {
            "/v1/chat/completions" if json["continue_final_message"] == true => {
                Act::json(&chat_json("continued"))
            }
            "/v1/completions" => Act::json(&json!({
                "choices": [{"text": format!("after {}", json["prompt"].as_str().unwrap()),
                             "finish_reason": "length"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2},
            })),
            _ => Act::json(&chat_json("anew")),
        }
    });
    let mut request = ask("Hi.");
    request.messages.push(Message::assistant("Oh,"));
    let mut config = config(&server);
    config.dialect = Dialect::Vllm;
    config.prefill = Prefill::ContinueFinalMessage;
    assert_eq!(client(config.clone()).complete_one(&request).unwrap().text, "continued");

    config.prefill = Prefill::Rendered;
    let error = client(config.clone()).complete_one(&request).unwrap_err();
    assert!(
        matches!(&error, ChatError::Settings(text) if text.contains("with_renderer")),
        "{error}"
    );
    let render =
        |m: &[Message]| Ok(m.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("|"));
    let client = client(config).with_renderer(RenderFn { open: render, closed: render });
    assert_eq!(client.complete_one(&request).unwrap().text, "after Hi.|Oh,");
    // Without a prefill the server renders.
    assert_eq!(client.complete_one(&ask("Hi.")).unwrap().text, "anew");
}

#[test]
fn a_server_that_repeats_the_prefill_is_forgiven() {
    let server = Server::start(|asked| {
        let text = asked.question();
        Act::json(&chat_json(&if text == "Oh," { "Oh, well.".into() } else { format!("{text}?") }))
    });
    let mut config = config(&server);
    config.prefill = Prefill::Implicit;
    let mut request = ask("Hi.");
    assert_eq!(client(config.clone()).complete_one(&request).unwrap().text, "Hi.?");
    request.messages.push(Message::assistant("Oh,"));
    assert_eq!(client(config).complete_one(&request).unwrap().text, " well.");
}
