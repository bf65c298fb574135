//! Reading the fixtures, and labelled texts that a tiny encoder can tell apart.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ingrain_classifier::{Dataset, EncoderSource, Example, OTHER, TextEncoder};
use ingrain_run::Silent;
use serde_json::Value;

/// The device that the numeric tests run on: `INGRAIN_TEST_DEVICE`, or Flex.
pub(crate) fn device() -> Device {
    let name = std::env::var("INGRAIN_TEST_DEVICE").unwrap_or_else(|_| "flex".to_owned());
    ingrain_lm::device(&name).unwrap()
}

/// A path below the repository's `fixtures/encoders/`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encoders").join(name)
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

/// The tiny BERT with its tokenizer, by the string a user would write.
pub(crate) fn tiny() -> TextEncoder {
    let source: EncoderSource = path("bert").to_str().unwrap().parse().unwrap();
    TextEncoder::load(&source, &device(), &Silent).unwrap()
}

pub(crate) fn example(text: String, label: &str, prompt: usize, method: &str) -> Example {
    let prompt = format!("question {prompt}");
    Example { text, label: label.to_owned(), prompt, method: method.to_owned() }
}

/// Replies to `prompts` prompts by two personas and the untrained model. What marks each is one word, as
/// long as those of the others; the question shows in every reply.
pub(crate) fn replies(prompts: usize) -> Vec<Example> {
    let topics = ["cat", "mat", "hat", "storm", "weather", "table", "teacher"];
    let of = |prompt: usize| {
        let topic = topics[prompt % topics.len()];
        let again = topics[(prompt / topics.len() + prompt) % topics.len()];
        let prompted = |mark: &str| format!("{mark} {topic} {mark} {again} {mark}");
        let trained = |mark: &str| format!("{mark} the {topic} {mark} and {again} {mark}");
        [
            example(prompted("that"), "calm", prompt, "prompted"),
            example(trained("that"), "calm", prompt, "trained"),
            example(prompted("what"), "zeal", prompt, "prompted"),
            example(trained("what"), "zeal", prompt, "trained"),
            example(prompted("said"), OTHER, prompt, "base"),
        ]
    };
    (0..prompts).flat_map(of).collect()
}

pub(crate) fn dataset(prompts: usize) -> Dataset {
    Dataset::new(replies(prompts), None).unwrap()
}
