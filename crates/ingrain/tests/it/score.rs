//! Raw text is scored as lm-evaluation-harness scores it.

use std::fs;

use ingrain::chat::{Message, ScoreRequest, Scorer};
use ingrain::eval::{TextRequest, TextScorer};
use ingrain::lm::{LocalModel, ModelSource};
use ingrain::run::Silent;

use crate::tiny::fixture;

fn model() -> LocalModel {
    let source = ModelSource::Directory(fixture("tiny_models/llama_tied"));
    let device = ingrain::lm::device("cpu").expect("always there");
    LocalModel::load(&source.resolve(&Silent).expect("is there"), &device).expect("loads")
}

#[test]
fn text_scores_agree_with_transformers_in_the_manner_of_the_harness() {
    let text = fs::read_to_string(fixture("capabilities.json")).expect("read");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let text =
        |case: &serde_json::Value, field: &str| case[field].as_str().expect("a text").to_owned();
    let requests: Vec<TextRequest> = cases
        .iter()
        .map(|case| TextRequest {
            context: text(case, "context"),
            continuation: text(case, "continuation"),
        })
        .collect();
    let scores = model().score_texts(&requests);
    assert_eq!(scores.len(), cases.len());
    for (case, score) in cases.iter().zip(scores) {
        let score = score.expect("scored");
        assert_eq!(Some(score.logprobs.len() as u64), case["tokens"].as_u64(), "{case}");
        assert_eq!(score.token_ids.len(), score.logprobs.len());
        let expected = case["logprob"].as_f64().expect("a number");
        assert!((score.total() - expected).abs() < 1e-3, "{case}: {}", score.total());
    }
}

#[test]
fn a_prompt_that_is_read_once_for_all_its_answers_gives_the_same_scores() {
    let model = model();
    let long = "Which of these is it? ".repeat(6);
    let request = |answer: &str| ScoreRequest {
        messages: vec![Message::user(long.trim())],
        continuation: answer.to_owned(),
    };
    let answers = ["A", "B", "a tie"].map(request);
    let together = model.logprobs(&answers);
    for (request, shared) in answers.iter().zip(together) {
        let alone = model.logprobs(std::slice::from_ref(request)).remove(0).expect("scored");
        let shared = shared.expect("scored");
        assert_eq!(shared.token_ids, alone.token_ids);
        for (a, b) in shared.logprobs.iter().zip(&alone.logprobs) {
            assert!((a - b).abs() < 1e-4, "{a} and {b}");
        }
    }
}
