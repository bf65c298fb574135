//! Text as it arrives.

use ingrain_tokenizer::ChatTokenizer;
use proptest::prelude::*;

use crate::make::{shared_fixtures, with_template};

fn pieces(tokenizer: &ChatTokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = tokenizer.stream(false);
    let mut out = Vec::new();
    for &id in ids {
        out.extend(stream.push(id).expect("text"));
    }
    out.extend(stream.finish().expect("text"));
    out
}

#[test]
fn characters_of_several_tokens_come_out_whole() {
    let tokenizer = with_template("plain_chatml");
    let ids = tokenizer.encode("aé😀b", false).unwrap();
    assert_eq!(ids.len(), 1 + 2 + 4 + 1);
    assert_eq!(pieces(&tokenizer, &ids), ["a", "é", "😀", "b"]);
}

#[test]
fn bytes_that_never_become_a_character_come_out_at_the_end() {
    let tokenizer = with_template("plain_chatml");
    assert_eq!(pieces(&tokenizer, &[u32::from(b'a'), 0xF0, 0x9F]), ["a", "\u{FFFD}"]);
    assert_eq!(pieces(&tokenizer, &[]), [""; 0]);
}

#[test]
fn special_tokens_are_left_out_on_request() {
    let tokenizer = with_template("plain_chatml");
    let ids = tokenizer.encode("a<|im_end|>b", false).unwrap();
    let mut stream = tokenizer.stream(true);
    let text: Vec<Option<String>> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    assert_eq!(text, [Some("a".to_owned()), None, Some("b".to_owned())]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "ab");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "a<|im_end|>b");
}

#[test]
fn ids_without_a_token_have_no_text() {
    let tokenizer = with_template("plain_chatml");
    assert_eq!(tokenizer.decode(&[97, 9_999, 98], false).unwrap(), "ab");
    assert_eq!(tokenizer.token(9_999), None);
}

proptest! {
    #[test]
    fn pieces_add_up_to_the_decoded_whole(text in any::<String>()) {
        let tokenizer = with_template("plain_chatml");
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text.as_str());
        prop_assert_eq!(pieces(&tokenizer, &ids).concat(), text);
    }
}

#[test]
fn pieces_add_up_with_a_trained_vocabulary() {
    let dir = shared_fixtures().join("tiny_models/llama_tied");
    let tokenizer = ChatTokenizer::from_hf_dir(dir).unwrap();
    let text = "the cat sat 😀 on the mat\n\tnaïve: 日本語";
    let ids = tokenizer.encode(text, false).unwrap();
    assert_eq!(pieces(&tokenizer, &ids).concat(), text);
}
