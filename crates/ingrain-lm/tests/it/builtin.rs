//! The built-in model, against transformers on the same dequantised weights
//! (`fixtures/builtin/expected.json`).
//!
//! The file is fetched on first use (98 MB) and kept in the user's cache directory.

use std::sync::LazyLock;

use ingrain_chat::{ChatModel, ChatRequest, FinishReason, Message, Sampling, ScoreRequest, Scorer};
use ingrain_lm::{BUILTIN_MODEL, Generation, Generator, LocalModel, ModelSource, Prompt};
use ingrain_run::{Interrupt, Silent};
use ingrain_tokenizer::RenderOptions;
use serde_json::Value;

use crate::fixture::{assert_close, floats, ids, json};

static MODEL: LazyLock<LocalModel> = LazyLock::new(|| {
    let files = ModelSource::Builtin.resolve(&Silent).unwrap();
    assert_eq!(files.identity.source, BUILTIN_MODEL);
    LocalModel::load(&files, &crate::fixture::device()).unwrap()
});

static EXPECTED: LazyLock<Value> = LazyLock::new(|| json("builtin/expected.json"));

fn cases(key: &str) -> &'static [Value] {
    let cases = EXPECTED[key].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
}

fn messages(case: &Value) -> Vec<Message> {
    serde_json::from_value(case["messages"].clone()).unwrap()
}

/// Greedy tokens must agree up to a step whose two best tokens were closer than 1e-4.
#[track_caller]
fn check_greedy(case: &Value, found: &[u32]) {
    let gaps = floats(&case["gaps"]);
    let until = gaps.iter().position(|&gap| gap < 1e-4).unwrap_or(gaps.len());
    assert!(until >= 32, "a fixture that excuses most of its tokens proves nothing");
    assert_eq!(found[..until], ids(&case["token_ids"])[..until]);
}

fn generate(prompts: &[Prompt], stop_ids: &[u32]) -> Vec<Generation> {
    let model = &MODEL.model;
    let generator = Generator {
        model,
        overlay: None.into(),
        stop_ids,
        max_batch: 8,
        interrupt: Interrupt::new(),
    };
    let mut replies = vec![None; prompts.len()];
    let mut take = |index: usize, reply| replies[index] = Some(reply);
    generator.run(prompts, &|_, _| false, &mut take).unwrap();
    replies.into_iter().map(Option::unwrap).collect()
}

#[test]
fn the_weights_are_the_pinned_file() {
    assert_eq!(MODEL.identity.sha256, EXPECTED["sha256"].as_str().unwrap());
    let config = MODEL.model.config();
    assert_eq!((config.num_layers, config.hidden_size, config.vocab_size), (30, 576, 49_152));
    assert_eq!((config.num_heads, config.num_kv_heads, config.head_dim), (9, 3, 64));
}

#[test]
fn texts_have_the_token_ids_of_transformers_and_decode_back() {
    for case in cases("texts") {
        let text = case["text"].as_str().unwrap();
        let found = MODEL.tokenizer.encode(text, true).unwrap();
        assert_eq!(found, ids(&case["token_ids"]), "{text:?}");
        let decoded = MODEL.tokenizer.decode(&found, false).unwrap();
        assert_eq!(decoded, case["decoded"].as_str().unwrap());
    }
}

#[test]
fn chats_render_as_transformers_renders_them() {
    for case in cases("chats") {
        let add_generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
        let options = RenderOptions { add_generation_prompt, ..RenderOptions::default() };
        let rendered = MODEL.tokenizer.render(&messages(case), &options).unwrap();
        assert_eq!(rendered, case["rendered"].as_str().unwrap());
        let found = MODEL.tokenizer.encode_chat(&messages(case), &options).unwrap();
        assert_eq!(found, ids(&case["token_ids"]));
    }
}

#[test]
fn sixty_four_greedy_tokens_equal_those_of_transformers() {
    let prompt = |case: &Value| {
        let ids = ids(&case["prompt_token_ids"]);
        assert_eq!(MODEL.prompt_ids(&messages(case)).unwrap(), ids);
        Prompt::new(ids, Sampling::greedy(64))
    };
    let prompts: Vec<Prompt> = cases("greedy").iter().map(prompt).collect();
    let together = generate(&prompts, &[]);
    for (case, reply) in cases("greedy").iter().zip(&together) {
        check_greedy(case, &reply.token_ids);
        let text = MODEL.tokenizer.decode(&reply.token_ids, false).unwrap();
        assert_eq!(text, case["text"].as_str().unwrap());
    }
    // Alone, without padding: the same tokens.
    let alone = generate(&prompts[1..2], &[]);
    check_greedy(&cases("greedy")[1], &alone[0].token_ids);
    assert_close("alone", &alone[0].logprobs, &together[1].logprobs, 1e-3);
}

#[test]
fn scores_of_replies_equal_those_of_transformers() {
    let request = |case: &Value| ScoreRequest {
        messages: messages(case),
        continuation: case["reply"].as_str().unwrap().to_owned(),
    };
    let requests: Vec<ScoreRequest> = cases("scores").iter().map(request).collect();
    let scores = MODEL.logprobs(&requests);
    assert_eq!(scores.len(), cases("scores").len());
    for (case, score) in cases("scores").iter().zip(scores) {
        let score = score.unwrap();
        assert_eq!(score.token_ids, ids(&case["completion_token_ids"]));
        assert_close("score", &score.logprobs, &floats(&case["logprobs"]), 1e-3);
        let total: f32 = score.logprobs.iter().sum();
        assert_close("total", &[total], &[case["total_logprob"].as_f64().unwrap() as f32], 1e-2);
    }
}

#[test]
fn a_chat_reply_ends_with_the_turn_and_holds_no_special_token() {
    let ask = |sampling| {
        ChatRequest::new(vec![Message::user("What is the capital of France?")], sampling)
    };
    let stopping = Sampling { stop: vec![" is".into()], ..Sampling::greedy(64) };
    let replies = MODEL.complete_all(&[
        ask(Sampling::greedy(64)),
        ask(Sampling::greedy(2)),
        ask(stopping),
        ChatRequest::new(
            vec![
                Message::user("What is the capital of France?"),
                Message::assistant("The capital of France"),
            ],
            Sampling::greedy(64),
        ),
    ]);
    let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies[0].text, "The capital of France is Paris.");
    assert_eq!(replies[0].finish, FinishReason::Stop);
    assert_eq!(replies[0].prompt_tokens, 37);
    assert_eq!(replies[0].completion_tokens, 8, "seven tokens and the end of the turn");
    assert_eq!(
        (replies[1].text.as_str(), replies[1].finish),
        ("The capital", FinishReason::Length)
    );
    assert_eq!(replies[2].text, "The capital of France");
    assert_eq!(replies[2].finish, FinishReason::Stop);
    assert_eq!(replies[3].text, " is Paris.", "the assistant's own text is continued");
}

#[test]
fn one_bad_request_costs_one_reply() {
    let good = ChatRequest::new(vec![Message::user("Hi")], Sampling::greedy(1));
    let long = ChatRequest::new(vec![Message::user("word ".repeat(9_000))], Sampling::greedy(1));
    let replies = MODEL.complete_all(&[long.clone(), good]);
    let error = replies[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("tokens") && error.contains("8192"), "{error}");
    assert!(replies[1].is_ok());
    let scores = MODEL.logprobs(&[
        ScoreRequest { messages: long.messages, continuation: "yes".into() },
        ScoreRequest { messages: vec![Message::user("Hi")], continuation: "Hello".into() },
    ]);
    assert!(scores[0].is_err());
    assert!(scores[1].as_ref().unwrap().logprobs.len() > 1);
}

#[test]
fn an_interrupted_batch_answers_every_request_with_that() {
    let model = LocalModel { interrupt: Interrupt::new(), ..MODEL.clone() };
    model.interrupt.request();
    let ask = ChatRequest::new(vec![Message::user("Hi")], Sampling::greedy(4));
    let replies = model.complete_all(&[ask.clone(), ask]);
    for reply in replies {
        assert!(matches!(reply, Err(ingrain_chat::ChatError::Interrupted)), "{reply:?}");
    }
}
