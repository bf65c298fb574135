//! Directories in Hugging Face layout.

use ingrain_chat::Message;
use ingrain_tokenizer::{ChatTokenizer, RenderOptions, TokenizerError};
use serde_json::json;

use crate::make::{Directory, fixture, fixtures, ids, strings};

#[test]
fn templates_are_found_wherever_a_directory_keeps_them() {
    let said = [Message::user("q")];
    let dir = Directory::new("from jinja");
    let render = |dir: &Directory| dir.load().render(&said, &RenderOptions::default());
    assert_eq!(render(&dir).unwrap(), "from jinja");
    dir.remove("chat_template.jinja");
    assert!(matches!(render(&dir), Err(TokenizerError::NoTemplate { .. })));
    let named =
        json!([{"name": "rag", "template": "no"}, {"name": "default", "template": "from list"}]);
    dir.write_json("tokenizer_config.json", &json!({"chat_template": named}));
    assert_eq!(render(&dir).unwrap(), "from list");
    dir.write_json("tokenizer_config.json", &json!({"chat_template": "from config"}));
    assert_eq!(render(&dir).unwrap(), "from config");
    dir.write_json("chat_template.json", &json!({"chat_template": "from json"}));
    assert_eq!(render(&dir).unwrap(), "from json");
}

#[test]
fn special_tokens_come_as_text_or_objects_from_either_file() {
    let dir = Directory::new("{{ bos_token }}|{{ eos_token }}|{{ unk_token }}");
    dir.write_json(
        "tokenizer_config.json",
        &json!({"bos_token": {"content": "<s>", "lstrip": false}}),
    );
    dir.write_json(
        "special_tokens_map.json",
        &json!({"bos_token": "[INST]", "eos_token": "<|im_end|>"}),
    );
    let tokenizer = dir.load();
    assert_eq!(tokenizer.render(&[], &RenderOptions::default()).unwrap(), "<s>|<|im_end|>|");
    assert_eq!(tokenizer.bos_id(), tokenizer.token_id("<s>"));
    assert_eq!(tokenizer.stop_ids(), [tokenizer.token_id("<|im_end|>").unwrap()]);
    assert_eq!(tokenizer.pad_id(), tokenizer.token_id("<|im_end|>").unwrap());
}

#[test]
fn stop_tokens_come_from_the_generation_config_and_the_template() {
    let dir = Directory::new("{{ '<|im_end|>' }}");
    let id = |token: &str| dir.load().token_id(token).unwrap();
    let (eos, im_end, eot) = (id("</s>"), id("<|im_end|>"), id("<|eot_id|>"));
    assert_eq!(dir.load().stop_ids(), [eos, im_end]);
    dir.write_json("config.json", &json!({"eos_token_id": im_end}));
    dir.write_json("generation_config.json", &json!({"eos_token_id": [eot, eos]}));
    assert_eq!(dir.load().stop_ids(), [eos, im_end, eot]);
}

#[test]
fn flags_of_the_configuration_replace_the_post_processor() {
    let dir = Directory::new("");
    let a = u32::from(b'a');
    let (bos, eos) = (dir.load().bos_id().unwrap(), dir.load().eos_id().unwrap());
    assert_eq!(dir.load().encode("a", true).unwrap(), [bos, a]);
    assert_eq!(dir.load().encode("a", false).unwrap(), [a]);
    let config = |flags: serde_json::Value| {
        let mut config = json!({"bos_token": "<s>", "eos_token": "</s>"});
        config.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
        dir.write_json("tokenizer_config.json", &config);
        dir.load().encode("a", true).unwrap()
    };
    assert_eq!(config(json!({"add_bos_token": false})), [a]);
    assert_eq!(config(json!({"add_bos_token": true, "add_eos_token": true})), [bos, a, eos]);
}

#[test]
fn a_sentencepiece_model_gives_the_ids_of_sentencepiece() {
    let dir = Directory::new("{{ bos_token }}{{ messages[0].content }}");
    dir.remove("tokenizer.json");
    dir.remove("tokenizer_config.json");
    std::fs::copy(fixtures().join("sentencepiece.model"), dir.path().join("tokenizer.model"))
        .unwrap();
    let tokenizer = dir.load();
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_id()), (Some(1), Some(2)));
    assert_eq!(tokenizer.encode("", true).unwrap(), [1]);
    let fixture = fixture("sentencepiece.json");
    for (text, expected) in
        strings(&fixture["texts"]).iter().zip(fixture["ids"].as_array().unwrap())
    {
        // transformers adds no blank to text that starts with one; SentencePiece does.
        if text.starts_with(' ') {
            continue;
        }
        let encoded = tokenizer.encode(text, false).unwrap();
        assert_eq!(encoded, ids(expected), "{text:?}");
        assert_eq!(tokenizer.decode(&encoded, false).unwrap(), *text);
    }
}

#[test]
fn unknown_fields_of_configurations_are_ignored() {
    let dir = Directory::new("");
    dir.write_json(
        "tokenizer_config.json",
        &json!({"some_new_field": {"a": [1]}, "model_max_length": 1e30}),
    );
    dir.write_json("config.json", &json!({"architectures": ["LlamaForCausalLM"]}));
    assert!(ChatTokenizer::from_hf_dir(dir.path()).is_ok());
}

#[test]
fn what_is_added_to_a_text_is_found_behind_padding_and_kept_when_a_text_is_cut() {
    // Its tokenizer.json pads and cuts everything to 8 tokens, as published encoders do.
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/encoders/bert");
    let tokenizer = ChatTokenizer::from_hf_dir(dir).unwrap();
    let [cls, sep] = ["[CLS]", "[SEP]"].map(|token| tokenizer.token_id(token).unwrap());
    assert_eq!(tokenizer.encode("", true).unwrap(), [cls, sep]);
    let text = "the cat sat on the mat and the other cat looked at the hat";
    let whole = tokenizer.encode(text, true).unwrap();
    assert!(whole.len() > 12, "{whole:?}");
    assert_eq!((whole[0], whole[whole.len() - 1]), (cls, sep));
    let cut = tokenizer.encode_truncated(text, 6).unwrap();
    assert_eq!(cut, [&whole[..5], &[sep]].concat());
    assert_eq!(tokenizer.encode_truncated(text, 1_000).unwrap(), whole);
    assert_eq!(tokenizer.encode_truncated(text, 1).unwrap(), [cls, sep]);
}
