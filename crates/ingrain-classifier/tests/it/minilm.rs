//! The built-in encoder, against transformers on the same files (`fixtures/encoders/minilm.json`).
//!
//! The files are fetched on first use (91 MB) and kept in the user's cache directory.

use std::sync::LazyLock;

use ingrain_classifier::{BUILTIN_ENCODER, EncoderSource, Pooling, TextEncoder};
use ingrain_run::Silent;

use crate::fixture::{device, ids, json};

static MINILM: LazyLock<TextEncoder> = LazyLock::new(|| {
    let source: EncoderSource = BUILTIN_ENCODER.parse().unwrap();
    TextEncoder::load(&source, &device(), &Silent).unwrap()
});

#[test]
fn embeddings_of_the_real_minilm_are_those_of_transformers() {
    let cases = json("minilm.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 6);
    let texts: Vec<&str> = cases.iter().map(|case| case["text"].as_str().unwrap()).collect();
    let tokens = MINILM.tokens(texts.iter().copied(), 256).unwrap();
    let vectors = MINILM.embed(&tokens, Pooling::Mean).unwrap();
    for ((case, tokens), vector) in cases.iter().zip(&tokens).zip(&vectors) {
        assert_eq!(*tokens, ids(&case["ids"]));
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let expected = case["embedding"].as_array().unwrap();
        assert_eq!(vector.len(), expected.len());
        for (found, expected) in vector.iter().zip(expected) {
            let expected = expected.as_f64().unwrap() as f32;
            assert!((found / length - expected).abs() < 1e-4, "{} {expected}", found / length);
        }
    }
}

#[test]
fn the_real_minilm_is_the_pinned_file() {
    let config = MINILM.encoder.config();
    assert_eq!((config.num_layers, config.hidden_size, config.vocab_size), (6, 384, 30_522));
    assert_eq!(MINILM.identity.source, BUILTIN_ENCODER);
    let expected = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
    assert_eq!(MINILM.identity.sha256, expected);
}
