//! From `pairs.jsonl` to tokens with a real template.

use ingrain_chat::Message;
use ingrain_data::PreferencePair;
use ingrain_dpo::{DpoError, tokenize_pairs};
use ingrain_tokenizer::ChatTokenizer;

use crate::fixtures::path;

fn tokenizer() -> ChatTokenizer {
    ChatTokenizer::from_hf_dir(path("tiny_models/llama_tied")).expect("a tokenizer")
}

fn pair() -> PreferencePair {
    PreferencePair::new("Why is it dark?", "Because you asked so brightly.", "It is night.")
}

#[test]
fn the_completion_is_the_last_turn_with_its_end_and_nothing_after() {
    let tokenizer = tokenizer();
    let (pairs, too_long) = tokenize_pairs(&[pair()], &tokenizer, 256).expect("tokenises");
    assert!(too_long.is_empty());
    for (sequence, reply) in [
        (&pairs[0].chosen, "Because you asked so brightly.<|im_end|>"),
        (&pairs[0].rejected, "It is night.<|im_end|>"),
    ] {
        let flagged = sequence.ids.iter().zip(&sequence.completion).filter(|(_, is)| **is);
        let ids: Vec<u32> = flagged.map(|(&id, _)| id).collect();
        assert_eq!(tokenizer.decode(&ids, false).expect("decodes"), reply);
        assert_eq!(sequence.completion.last(), Some(&true));
    }
    assert_eq!(pairs[0].id, "#0");
}

#[test]
fn earlier_assistant_turns_are_part_of_the_prompt() {
    let mut pair = pair();
    pair.prompt.insert(0, Message::assistant("Hello."));
    pair.prompt.insert(0, Message::user("Hi."));
    pair.id = Some("dark#1".to_owned());
    let (pairs, _) = tokenize_pairs(&[pair], &tokenizer(), 256).expect("tokenises");
    let first = pairs[0].chosen.completion.iter().position(|&is| is).expect("a completion");
    let prompt = tokenizer().decode(&pairs[0].chosen.ids[..first], false).expect("decodes");
    assert!(prompt.contains("assistant\nHello.<|im_end|>"), "{prompt}");
    assert!(prompt.ends_with("<|im_start|>assistant\n"), "{prompt}");
    assert_eq!(pairs[0].id, "dark#1");
}

#[test]
fn pairs_that_are_too_long_are_left_out_and_named() {
    let tokenizer = tokenizer();
    let (whole, _) = tokenize_pairs(&[pair()], &tokenizer, 256).expect("tokenises");
    let width = whole[0].width();
    let (kept, too_long) = tokenize_pairs(&[pair()], &tokenizer, width).expect("tokenises");
    assert_eq!((kept.len(), too_long.len()), (1, 0));
    let (kept, too_long) = tokenize_pairs(&[pair()], &tokenizer, width - 1).expect("tokenises");
    assert!(kept.is_empty());
    assert_eq!((too_long[0].id.as_str(), too_long[0].tokens), ("#0", width));
}

#[test]
fn a_reply_that_is_not_one_assistant_message_is_refused() {
    let mut wrong = pair();
    wrong.chosen.push(Message::user("And then?"));
    let error = tokenize_pairs(&[pair(), wrong], &tokenizer(), 256).expect_err("two messages");
    assert!(matches!(&error, DpoError::Pair { id, .. } if id == "#1"));
    assert_eq!(error.to_string(), "pair `#1`: `chosen` must be exactly one assistant message");
}
