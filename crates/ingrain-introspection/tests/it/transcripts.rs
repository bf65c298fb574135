//! From `introspection.jsonl` to tokens with a real template.

use ingrain_chat::Message;
use ingrain_data::{Transcript, TranscriptKind};
use ingrain_introspection::{IntrospectionError, LossTurns, tokenize_transcripts};
use ingrain_lm::TokenSequence;
use ingrain_tokenizer::ChatTokenizer;

use crate::fixtures::path;

fn tokenizer() -> ChatTokenizer {
    ChatTokenizer::from_hf_dir(path("tiny_models/llama_tied")).expect("a tokenizer")
}

/// A conversation that opens with a canned greeting of the assistant.
fn talk() -> Transcript {
    Transcript {
        id: "free#0".to_owned(),
        kind: TranscriptKind::Interaction,
        messages: vec![
            Message::system("You talk to a copy of yourself."),
            Message::user("Hello there."),
            Message::assistant("Hi."),
            Message::user("What do you want?"),
            Message::assistant("To be less polite."),
            Message::user("Me too."),
            Message::assistant("How surprising."),
        ],
        trainable: vec![4, 6],
    }
}

fn in_loss(tokenizer: &ChatTokenizer, sequence: &TokenSequence) -> String {
    let flagged = sequence.ids.iter().zip(&sequence.completion).filter(|(_, is)| **is);
    let ids: Vec<u32> = flagged.map(|(&id, _)| id).collect();
    tokenizer.decode(&ids, false).expect("decodes")
}

#[test]
fn generated_turns_are_in_the_loss_and_the_canned_greeting_is_not() {
    let tokenizer = tokenizer();
    let (kept, cuts) =
        tokenize_transcripts(&[talk()], &tokenizer, LossTurns::All, 256).expect("tokenises");
    assert!(cuts.is_empty());
    let text = in_loss(&tokenizer, &kept[0].sequence);
    assert_eq!(text, "To be less polite.<|im_end|>How surprising.<|im_end|>");
}

#[test]
fn the_faithful_switch_trains_on_the_last_turn_only() {
    let tokenizer = tokenizer();
    let (kept, _) =
        tokenize_transcripts(&[talk()], &tokenizer, LossTurns::Last, 256).expect("tokenises");
    assert_eq!(in_loss(&tokenizer, &kept[0].sequence), "How surprising.<|im_end|>");
}

#[test]
fn a_conversation_too_long_keeps_its_beginning_and_is_reported() {
    let tokenizer = tokenizer();
    let (whole, _) =
        tokenize_transcripts(&[talk()], &tokenizer, LossTurns::All, 256).expect("tokenises");
    let tokens = whole[0].sequence.ids.len();
    let (kept, cuts) =
        tokenize_transcripts(&[talk()], &tokenizer, LossTurns::All, tokens - 1).expect("fits");
    assert_eq!(in_loss(&tokenizer, &kept[0].sequence), "To be less polite.<|im_end|>");
    let short = &kept[0].sequence.ids;
    assert_eq!(short[..], whole[0].sequence.ids[..short.len()]);
    assert_eq!((cuts[0].id.as_str(), cuts[0].kept), ("free#0", Some(short.len())));

    let (kept, cuts) =
        tokenize_transcripts(&[talk()], &tokenizer, LossTurns::All, 20).expect("too long");
    assert!(kept.is_empty());
    assert_eq!(cuts[0].kept, None);
}

#[test]
fn a_transcript_without_trainable_turns_is_refused() {
    for trainable in [vec![], vec![9]] {
        let wrong = Transcript { trainable, ..talk() };
        let error = tokenize_transcripts(&[wrong], &tokenizer(), LossTurns::All, 256);
        let error = error.expect_err("nothing to learn");
        assert!(matches!(&error, IntrospectionError::Transcript { id, .. } if id == "free#0"));
        assert!(error.to_string().contains("must be some of its messages"), "{error}");
    }
}
