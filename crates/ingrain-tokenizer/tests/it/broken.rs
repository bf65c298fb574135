//! Broken directories: an error that names the file.

use ingrain_tokenizer::ChatTokenizer;
use proptest::prelude::*;
use serde_json::json;

use crate::make::{Directory, with_template};

#[track_caller]
fn refused(dir: &Directory, words: &[&str]) {
    let error = ChatTokenizer::from_hf_dir(dir.path()).expect_err("a refusal").to_string();
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

#[test]
fn missing_and_broken_files_are_named() {
    let dir = Directory::new("");
    dir.write("tokenizer_config.json", "{\"bos_token\": 3}");
    refused(&dir, &["tokenizer_config.json"]);
    dir.write("tokenizer_config.json", "{\"bos_token\": \"<no such token>\"}");
    refused(&dir, &["bos_token", "<no such token>", "not in the vocabulary"]);
    dir.remove("tokenizer_config.json");
    dir.write_json("generation_config.json", &json!({"eos_token_id": "two"}));
    refused(&dir, &["generation_config.json"]);
    dir.remove("generation_config.json");
    dir.write("tokenizer.json", "{\"model\": {\"type\": \"BPE\"");
    refused(&dir, &["tokenizer.json"]);
    dir.remove("tokenizer.json");
    refused(&dir, &["tokenizer.json", "cannot read"]);
}

#[test]
fn a_broken_sentencepiece_model_is_refused() {
    let dir = Directory::new("");
    dir.remove("tokenizer.json");
    let model = std::fs::read(crate::make::fixtures().join("sentencepiece.model")).unwrap();
    for len in [1, 2, 3, 7, 100, model.len() / 2, model.len() - 1] {
        std::fs::write(dir.path().join("tokenizer.model"), &model[..len]).unwrap();
        refused(&dir, &["tokenizer.model", "SentencePiece model"]);
    }
    std::fs::write(dir.path().join("tokenizer.model"), [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F])
        .unwrap();
    refused(&dir, &["tokenizer.model", "cut short"]);
    // Nothing but defaults is a unigram model.
    std::fs::write(dir.path().join("tokenizer.model"), []).unwrap();
    refused(&dir, &["tokenizer.model", "model type 1"]);
}

#[test]
fn a_stretch_that_cannot_be_split_reliably_is_refused() {
    let tokenizer = with_template("plain_chatml");
    assert_eq!(tokenizer.encode(&"a".repeat(200_000), false).unwrap().len(), 200_000);
    let error = tokenizer.encode(&"a".repeat(200_001), false).unwrap_err().to_string();
    assert!(error.contains("cannot be split into words"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_files_are_refused_or_serve(
        index in any::<prop::sample::Index>(),
        text in "[ -~]{0,4}",
        which in 0_usize..2,
    ) {
        let dir = Directory::new("{{ messages[0].content }}");
        let name = ["tokenizer.json", "tokenizer_config.json"][which];
        let mut file = std::fs::read_to_string(dir.path().join(name)).unwrap();
        let mut at = index.index(file.len());
        while !file.is_char_boundary(at) {
            at -= 1;
        }
        let mut end = (at + text.len()).min(file.len());
        while !file.is_char_boundary(end) {
            end += 1;
        }
        file.replace_range(at..end, &text);
        dir.write(name, &file);
        if let Ok(tokenizer) = ChatTokenizer::from_hf_dir(dir.path()) {
            let ids = tokenizer.encode("ab <s> é\n\n", true).unwrap_or_default();
            let _ = tokenizer.decode(&ids, true);
        }
    }

    #[test]
    fn a_changed_sentencepiece_model_is_refused_or_serves(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let dir = Directory::new("");
        dir.remove("tokenizer.json");
        dir.remove("tokenizer_config.json");
        let mut model = std::fs::read(crate::make::fixtures().join("sentencepiece.model")).unwrap();
        for (index, byte) in changes {
            let at = index.index(model.len());
            model[at] = byte;
        }
        std::fs::write(dir.path().join("tokenizer.model"), model).unwrap();
        if let Ok(tokenizer) = ChatTokenizer::from_hf_dir(dir.path()) {
            let ids = tokenizer.encode("the cat\n\n é", true).unwrap_or_default();
            let _ = tokenizer.decode(&ids, true);
        }
    }
}
