//! Tokenizers out of GGUF metadata, against `tokenizers` and SentencePiece.

use ingrain_gguf::GgufFile;
use ingrain_tokenizer::{ChatTokenizer, RenderOptions};
use proptest::prelude::*;

use crate::make::{Metadata, fixture, ids, shared_fixtures, strings};

/// Types of tokens: the first three of the fixtures are control tokens.
fn types(len: usize) -> Vec<i32> {
    (0..len).map(|id| if id < 3 { 3 } else { 1 }).collect()
}

fn byte_level(pre: &str, tokens: &[String], merges: &[String]) -> Metadata {
    Metadata::default()
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", pre)
        .texts("tokenizer.ggml.tokens", tokens)
        .ints("tokenizer.ggml.token_type", &types(tokens.len()))
        .texts("tokenizer.ggml.merges", merges)
        .id("tokenizer.ggml.bos_token_id", 1)
        .id("tokenizer.ggml.eos_token_id", 2)
        .id("tokenizer.ggml.padding_token_id", 0)
}

#[test]
fn every_kind_of_pre_tokenizer_gives_the_ids_of_the_reference() {
    let fixture = fixture("pre_tokenizers.json");
    let texts = strings(&fixture["texts"]);
    let kinds = fixture["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 6);
    for kind in kinds {
        let pre = kind["pre"].as_str().unwrap();
        let (tokens, merges) = (strings(&kind["tokens"]), strings(&kind["merges"]));
        let file = byte_level(pre, &tokens, &merges).file();
        let tokenizer = ChatTokenizer::from_gguf(&file).unwrap();
        assert_eq!(tokenizer.vocab_size(), tokens.len());
        for (i, text) in texts.iter().enumerate() {
            let expected = ids(&kind["ids"][i]);
            assert_eq!(tokenizer.encode(text, false).unwrap(), expected, "{pre}: {text:?}");
            let decoded = tokenizer.decode(&expected, false).unwrap();
            assert_eq!(decoded, kind["decoded"][i].as_str().unwrap(), "{pre}: {text:?}");
        }
    }
}

#[test]
fn special_tokens_and_defaults_come_from_the_metadata() {
    let fixture = fixture("pre_tokenizers.json");
    let of = |pre: &str| {
        let kind =
            fixture["kinds"].as_array().unwrap().iter().find(|kind| kind["pre"] == pre).unwrap();
        byte_level(pre, &strings(&kind["tokens"]), &strings(&kind["merges"]))
    };
    let smollm = ChatTokenizer::from_gguf(&of("smollm").file()).unwrap();
    assert_eq!((smollm.bos_id(), smollm.eos_id(), smollm.pad_id()), (Some(1), Some(2), 0));
    assert_eq!(smollm.stop_ids(), [2]);
    assert_eq!(smollm.chat_template(), None);
    assert_eq!(smollm.encode("", true).unwrap(), [0; 0]);
    // Llama 3 adds a start token unless the file says otherwise.
    let llama = ChatTokenizer::from_gguf(&of("llama-bpe").file()).unwrap();
    assert_eq!(llama.encode("", true).unwrap(), [1]);
    let silent = of("llama-bpe").flag("tokenizer.ggml.add_bos_token", false).file();
    assert_eq!(ChatTokenizer::from_gguf(&silent).unwrap().encode("", true).unwrap(), [0; 0]);
    let ends = of("smollm")
        .flag("tokenizer.ggml.add_eos_token", true)
        .id("tokenizer.ggml.eot_token_id", 0);
    let ends = ChatTokenizer::from_gguf(&ends.file()).unwrap();
    assert_eq!(ends.encode("", true).unwrap(), [2]);
    assert_eq!(ends.stop_ids(), [0, 2]);
}

#[test]
fn a_gguf_file_and_its_directory_tokenize_and_render_alike() {
    let shared = shared_fixtures();
    let file = GgufFile::open(shared.join("gguf/llama_tied.q8_0.gguf")).unwrap();
    let from_file = ChatTokenizer::from_gguf(&file).unwrap();
    let from_dir = ChatTokenizer::from_hf_dir(shared.join("tiny_models/llama_tied")).unwrap();
    assert_eq!(from_file.vocab_size(), from_dir.vocab_size());
    assert_eq!(from_file.stop_ids(), from_dir.stop_ids());
    assert_eq!(from_file.chat_template(), from_dir.chat_template());
    for text in strings(&fixture("pre_tokenizers.json")["texts"]) {
        assert_eq!(
            from_file.encode(&text, false).unwrap(),
            from_dir.encode(&text, false).unwrap(),
            "{text:?}"
        );
    }
    let said = [ingrain_chat::Message::user("the cat")];
    let options = RenderOptions::generation();
    assert_eq!(
        from_file.render(&said, &options).unwrap(),
        from_dir.render(&said, &options).unwrap()
    );
}

fn pieces(blank_before: bool) -> (ChatTokenizer, serde_json::Value) {
    let fixture = fixture("sentencepiece.json");
    let floats = |key: &str| -> Vec<f32> {
        fixture[key]
            .as_array()
            .expect("numbers")
            .iter()
            .map(|v| v.as_f64().expect("numbers") as f32)
            .collect()
    };
    let types: Vec<i32> = ids(&fixture["types"]).iter().map(|&t| t as i32).collect();
    let file = Metadata::default()
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &strings(&fixture["tokens"]))
        .floats("tokenizer.ggml.scores", &floats("scores"))
        .ints("tokenizer.ggml.token_type", &types)
        .flag("tokenizer.ggml.add_space_prefix", blank_before)
        .id("tokenizer.ggml.bos_token_id", 1)
        .id("tokenizer.ggml.eos_token_id", 2)
        .id("tokenizer.ggml.unknown_token_id", 0)
        .file();
    (ChatTokenizer::from_gguf(&file).expect("a good file"), fixture)
}

#[test]
fn sentencepiece_pieces_give_the_ids_of_sentencepiece() {
    let (tokenizer, fixture) = pieces(true);
    let mut compared = 0;
    for (text, expected) in
        strings(&fixture["texts"]).iter().zip(fixture["ids"].as_array().unwrap())
    {
        // Behind a user-defined piece, files of this kind start anew with a blank.
        if text.contains("\n\n") || text.contains("<s>") {
            continue;
        }
        let encoded = tokenizer.encode(text, false).unwrap();
        assert_eq!(encoded, ids(expected), "{text:?}");
        assert_eq!(tokenizer.decode(&encoded, false).unwrap(), *text);
        compared += 1;
    }
    assert!(compared >= 14, "{compared}");
    assert_eq!(tokenizer.encode("", true).unwrap(), [1]);
}

#[test]
fn without_a_blank_in_front_text_can_be_cut_anywhere() {
    let (tokenizer, _) = pieces(false);
    let ids = tokenizer.encode("the cat<ctl>the cat", false).unwrap();
    let half = tokenizer.encode("the cat", false).unwrap();
    assert_eq!(ids, [half.as_slice(), &[3], &half].concat());
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "the catthe cat");
}

#[track_caller]
fn refused(metadata: Metadata, words: &[&str]) {
    let error = ChatTokenizer::from_gguf(&metadata.file()).expect_err("a refusal").to_string();
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

#[test]
fn metadata_that_does_not_fit_together_is_refused_by_key() {
    let tokens: Vec<String> = ["<a>", "<b>", "<c>", "x", "y", "xy"].map(str::to_owned).to_vec();
    let merges = vec!["x y".to_owned()];
    let model = |name: &str| Metadata::default().text("tokenizer.ggml.model", name);
    assert!(ChatTokenizer::from_gguf(&byte_level("gpt-2", &tokens, &merges).file()).is_ok());
    refused(Metadata::default(), &["tokenizer.ggml.tokens", "missing"]);
    refused(
        model("bert").texts("tokenizer.ggml.tokens", &tokens),
        &["tokenizer.ggml.model", "bert", "gpt2"],
    );
    refused(
        model("gpt2").texts("tokenizer.ggml.tokens", &tokens),
        &["tokenizer.ggml.merges", "missing"],
    );
    refused(
        byte_level("no-such-pre", &tokens, &merges),
        &["tokenizer.ggml.pre", "no-such-pre", "smollm"],
    );
    refused(
        model("gpt2")
            .texts("tokenizer.ggml.tokens", &tokens)
            .ints("tokenizer.ggml.token_type", &[1]),
        &["tokenizer.ggml.token_type", "1 entries for 6 tokens"],
    );
    refused(
        byte_level("gpt-2", &tokens, &["xy".to_owned()]),
        &["tokenizer.ggml.merges", "no pair"],
    );
    refused(byte_level("gpt-2", &tokens, &["x z".to_owned()]), &["tokenizer.ggml.merges"]);
    let twice: Vec<String> = ["<a>", "<b>", "<c>", "x", "x"].map(str::to_owned).to_vec();
    refused(
        byte_level("gpt-2", &twice, &[]),
        &["tokenizer.ggml.tokens", "tokens 3 and 4 are the same"],
    );
    refused(
        byte_level("gpt-2", &tokens, &merges).id("tokenizer.ggml.eot_token_id", 6),
        &["tokenizer.ggml.eot_token_id", "outside of the vocabulary of 6"],
    );
    refused(model("llama").texts("tokenizer.ggml.tokens", &tokens), &["tokenizer.ggml.scores"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_vocabulary_is_refused_or_serves(
        tokens in prop::collection::vec("[ab▁ <>é\\n]{0,3}", 1..12),
        types in prop::collection::vec(0_i32..8, 12),
        merges in prop::collection::vec("[ab]{0,2}[ ]?[ab]{0,2}", 0..4),
        scores in prop::collection::vec(any::<f32>(), 12),
        is_byte_level in any::<bool>(),
        special in 0_u32..14,
    ) {
        let file = Metadata::default()
            .text("tokenizer.ggml.model", if is_byte_level { "gpt2" } else { "llama" })
            .texts("tokenizer.ggml.tokens", &tokens)
            .ints("tokenizer.ggml.token_type", &types[..tokens.len()])
            .texts("tokenizer.ggml.merges", &merges)
            .floats("tokenizer.ggml.scores", &scores[..tokens.len()])
            .id("tokenizer.ggml.bos_token_id", special)
            .text("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}")
            .file();
        if let Ok(tokenizer) = ChatTokenizer::from_gguf(&file) {
            let ids = tokenizer.encode("ab a<b>\n é zz", true).unwrap_or_default();
            let _ = tokenizer.decode(&ids, false);
            let _ = tokenizer.encode_turns(&[ingrain_chat::Message::user("ab")]);
        }
    }
}

#[test]
fn a_saved_tokenizer_is_read_back_the_same() {
    let fixture = fixture("pre_tokenizers.json");
    let texts = strings(&fixture["texts"]);
    let (pieces, _) = pieces(true);
    let mut all = vec![pieces];
    for kind in fixture["kinds"].as_array().unwrap() {
        let pre = kind["pre"].as_str().unwrap();
        let metadata = byte_level(pre, &strings(&kind["tokens"]), &strings(&kind["merges"]));
        all.push(ChatTokenizer::from_gguf(&metadata.file()).unwrap());
    }
    for tokenizer in all {
        let dir = tempfile::tempdir().unwrap();
        tokenizer.save(dir.path()).unwrap();
        let again = ChatTokenizer::from_hf_dir(dir.path()).unwrap();
        assert_eq!((again.bos_id(), again.stop_ids()), (tokenizer.bos_id(), tokenizer.stop_ids()));
        for text in &texts {
            assert_eq!(again.encode(text, true).unwrap(), tokenizer.encode(text, true).unwrap());
        }
    }
}
