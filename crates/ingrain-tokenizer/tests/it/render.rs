//! Rendered templates against transformers.

use ingrain_chat::Message;
use ingrain_tokenizer::{ChatTokenizer, RenderOptions, TokenizerError};
use serde_json::Value;

use crate::make::{Directory, fixture, template, with_template};

/// 2026-11-23 12:14:56, the time of the fixtures.
const NOW: i64 = 1_795_436_096;

fn messages(value: &Value) -> Vec<Message> {
    serde_json::from_value(value.clone()).expect("messages")
}

fn options(value: &Value) -> RenderOptions {
    let mut options = RenderOptions { unix_time_secs: Some(NOW), ..RenderOptions::default() };
    for (name, value) in value.as_object().expect("options") {
        match name.as_str() {
            "add_generation_prompt" => options.add_generation_prompt = value == true,
            "continue_final_message" => options.continue_final_message = value == true,
            _ => options = options.with(name, value.clone()),
        }
    }
    options
}

#[track_caller]
fn check(
    tokenizer: &ChatTokenizer,
    messages: &[Message],
    options: &RenderOptions,
    expected: &Value,
    what: &str,
) {
    match (tokenizer.render(messages, options), expected.as_str()) {
        (Ok(text), Some(expected)) => assert_eq!(text, expected, "{what}"),
        (Err(_), None) => {}
        (Ok(text), None) => panic!("{what}: {text:?} where transformers refuses"),
        (Err(error), Some(expected)) => panic!("{what}: {error} instead of {expected:?}"),
    }
}

#[test]
fn templates_render_as_in_transformers() {
    let cases = fixture("renders.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 8 * 13);
    for (i, case) in cases.iter().enumerate() {
        let name = case["template"].as_str().unwrap();
        let what = format!("case {i}, {name}");
        check(
            &with_template(name),
            &messages(&case["messages"]),
            &options(&case["options"]),
            &case["text"],
            &what,
        );
    }
}

#[test]
fn expressions_render_as_in_transformers() {
    let said = [Message::user("hey"), Message::assistant("yo"), Message::user("bye")];
    let options = RenderOptions { unix_time_secs: Some(NOW), ..RenderOptions::generation() }
        .with("bos_token", "<s>");
    for case in fixture("expressions.json").as_array().unwrap() {
        let source = case["source"].as_str().unwrap();
        check(&Directory::new(source).load(), &said, &options, &case["text"], source);
    }
}

#[test]
fn a_template_says_in_its_own_words_why_it_refuses() {
    let said = [Message::user("a"), Message::user("b")];
    let error = with_template("gemma3_like").render(&said, &RenderOptions::default()).unwrap_err();
    assert!(matches!(error, TokenizerError::TemplateRefused { .. }));
    assert!(
        error.to_string().ends_with("refuses the messages: user and assistant have to take turns"),
        "{error}"
    );
}

#[test]
fn what_a_template_injects_is_visible_and_can_be_overridden() {
    let said = [Message::user("q")];
    let llama = with_template("llama3_like");
    let options = RenderOptions { unix_time_secs: Some(0), ..RenderOptions::default() };
    assert!(llama.render(&said, &options).unwrap().contains("Today: 01 Jan 1970"));
    let dated = options.with("date_string", "some day");
    assert!(llama.render(&said, &dated).unwrap().contains("Today: some day"));

    let chatml = with_template("plain_chatml");
    assert!(chatml.render(&said, &RenderOptions::default()).unwrap().contains("A default line."));
    let own = [Message::system(""), Message::user("q")];
    let text = chatml.render(&own, &RenderOptions::default()).unwrap();
    assert_eq!(text, "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nq<|im_end|>\n");
}

#[test]
fn a_start_token_of_the_template_is_not_added_again() {
    let tokenizer = with_template("llama3_like");
    let bos = tokenizer.bos_id().unwrap();
    assert_eq!(tokenizer.encode("a", true).unwrap(), [bos, u32::from(b'a')]);
    let ids = tokenizer.encode_chat(&[Message::user("q")], &RenderOptions::generation()).unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == bos).count(), 1);
    assert_eq!(ids[0], bos);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let tokenizer = with_template("plain_chatml");
    let both = RenderOptions { continue_final_message: true, ..RenderOptions::generation() };
    let error = tokenizer.render(&[Message::user("q")], &both).unwrap_err();
    assert!(error.to_string().contains("exclude each other"), "{error}");
    let error = tokenizer.render(&[], &RenderOptions::continuation()).unwrap_err();
    assert!(error.to_string().contains("no message to continue"), "{error}");
    let silent = Directory::new("{{ messages | length }}").load();
    let error = silent.render(&[Message::user("q")], &RenderOptions::continuation()).unwrap_err();
    assert!(error.to_string().contains("leaves the last message out"), "{error}");
}

#[test]
fn a_template_with_an_error_names_the_line() {
    let dir = Directory::new("a\nb {% if %}\n");
    let error = ChatTokenizer::from_hf_dir(dir.path()).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("syntax error"), "{error}");
    let tokenizer = Directory::new("a\n\n{{ messages[0].content + 1 }}").load();
    let error = tokenizer.render(&[Message::user("q")], &RenderOptions::default()).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn the_source_of_the_template_is_kept() {
    let tokenizer = with_template("qwen3_like");
    assert_eq!(tokenizer.chat_template(), Some(template("qwen3_like").as_str()));
}
