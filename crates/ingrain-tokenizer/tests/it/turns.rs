//! Spans of turns on templates of every kind.

use ingrain_chat::{Message, Role};
use ingrain_tokenizer::{ChatTokenizer, RenderOptions, TokenizerError, TurnSpans};
use proptest::prelude::*;

use crate::make::{Directory, with_template};

/// What the model has to generate in each of the assistant's turns.
fn replies(tokenizer: &ChatTokenizer, turns: &TurnSpans) -> Vec<String> {
    let spans = turns.turns.iter().filter(|turn| turn.role == Role::Assistant);
    spans
        .map(|turn| tokenizer.decode(&turns.ids[turn.tokens.clone()], false).expect("text"))
        .collect()
}

#[track_caller]
fn check(template: &str, messages: &[Message], expected: &[&str]) {
    let tokenizer = with_template(template);
    let turns =
        tokenizer.encode_turns(messages).unwrap_or_else(|error| panic!("{template}: {error}"));
    assert_eq!(replies(&tokenizer, &turns), expected, "{template}");
    assert_eq!(turns.turns.len(), messages.len());
    let marked = turns.assistant_mask().iter().filter(|&&flag| flag).count();
    let spans = turns.turns.iter().filter(|turn| turn.role == Role::Assistant);
    assert_eq!(marked, spans.map(|turn| turn.tokens.len()).sum::<usize>());
}

fn two_turns(first: &str, second: &str) -> Vec<Message> {
    vec![
        Message::user("one"),
        Message::assistant(first),
        Message::user("two"),
        Message::assistant(second),
    ]
}

#[test]
fn content_and_end_of_turn_are_found_in_every_family() {
    let said = two_turns("Hello, world!", "Yes: é😀.");
    for (template, end) in [
        ("plain_chatml", "<|im_end|>"),
        ("qwen25_like", "<|im_end|>"),
        ("qwen3_like", "<|im_end|>"),
        ("smollm3_like", "<|im_end|>"),
        ("llama3_like", "<|eot_id|>"),
        ("gemma3_like", "<end_of_turn>"),
        ("mistral3_like", "</s>"),
        ("macros_and_loops", "</s>"),
    ] {
        let (first, second) = (format!("Hello, world!{end}"), format!("Yes: é😀.{end}"));
        check(template, &said, &[&first, &second]);
    }
}

#[test]
fn the_same_text_in_every_turn_is_told_apart() {
    let said = [
        Message::user("same"),
        Message::assistant("same"),
        Message::user("same"),
        Message::assistant("same"),
    ];
    check("plain_chatml", &said, &["same<|im_end|>", "same<|im_end|>"]);
    let turns = with_template("plain_chatml").encode_turns(&said).unwrap();
    assert!(turns.turns.windows(2).all(|pair| pair[0].tokens.end <= pair[1].tokens.start));
}

#[test]
fn trimmed_white_space_is_not_part_of_a_turn_and_kept_white_space_is() {
    let said = two_turns("\n\n  a \n", " b");
    check("plain_chatml", &said, &["\n\n  a \n<|im_end|>", " b<|im_end|>"]);
    check("llama3_like", &said, &["a<|eot_id|>", "b<|eot_id|>"]);
    check("gemma3_like", &said, &["a<end_of_turn>", "b<end_of_turn>"]);
    // Strips line breaks alone, and only from the left.
    check("smollm3_like", &said, &["  a \n<|im_end|>", " b<|im_end|>"]);
}

#[test]
fn reasoning_that_a_template_strips_from_earlier_turns_is_no_obstacle() {
    let reasoned = "<think>\nwell\n</think>\n\nanswer";
    // The first answer loses its reasoning; the last one keeps it.
    check(
        "qwen3_like",
        &two_turns(reasoned, reasoned),
        &["answer<|im_end|>", "<think>\nwell\n</think>\n\nanswer<|im_end|>"],
    );
    // Without reasoning, the template writes an empty block before the last answer: not generated.
    check("qwen3_like", &two_turns("plain", "plain"), &["plain<|im_end|>", "plain<|im_end|>"]);
    // Reasoning that is written anew is left out; what is generated behind it is found.
    check(
        "qwen3_like",
        &two_turns("a", "<think>tight</think>loose"),
        &["a<|im_end|>", "loose<|im_end|>"],
    );
}

#[test]
fn content_that_looks_like_the_template_is_no_obstacle() {
    let odd = "<|im_start|>assistant\nno<|im_end|>\n{{ messages }} {% if %}";
    check("plain_chatml", &two_turns(odd, "b"), &[&format!("{odd}<|im_end|>"), "b<|im_end|>"]);
    let said = [Message::user("<result>1</result>"), Message::assistant("a")];
    check("qwen3_like", &said, &["a<|im_end|>"]);
}

#[test]
fn a_system_message_inside_the_first_user_turn_is_found() {
    let said = [Message::system("Be brief."), Message::user("one"), Message::assistant("a")];
    let tokenizer = with_template("gemma3_like");
    let turns = tokenizer.encode_turns(&said).unwrap();
    let text =
        |i: usize| tokenizer.decode(&turns.ids[turns.turns[i].tokens.clone()], false).unwrap();
    assert_eq!(text(0), "Be brief.");
    assert_eq!(text(1), "one<end_of_turn>");
    assert_eq!(text(2), "a<end_of_turn>");
}

#[test]
fn ids_equal_those_of_the_whole_conversation() {
    let said = two_turns("Hello, world!", "Yes.");
    for template in ["plain_chatml", "qwen3_like", "llama3_like", "gemma3_like", "mistral3_like"] {
        let tokenizer = with_template(template);
        let whole = tokenizer.encode_chat(&said, &RenderOptions::default()).unwrap();
        assert_eq!(tokenizer.encode_turns(&said).unwrap().ids, whole, "{template}");
    }
}

#[test]
fn a_token_across_the_start_of_a_reply_is_split() {
    // "\n\n" is one token: the header's line break would swallow that of the content.
    let said = [Message::user("q"), Message::assistant("\nx")];
    let tokenizer = with_template("plain_chatml");
    let turns = tokenizer.encode_turns(&said).unwrap();
    assert_eq!(replies(&tokenizer, &turns), ["\nx<|im_end|>"]);
    let prompt = tokenizer.encode_chat(&said[..1], &RenderOptions::generation()).unwrap();
    assert_eq!(turns.ids[..turns.turns[1].tokens.start], prompt);
    let whole = tokenizer.encode_chat(&said, &RenderOptions::default()).unwrap();
    assert_eq!(turns.ids.len(), whole.len() + 1);
}

#[test]
fn masks_choose_turns() {
    let tokenizer = with_template("plain_chatml");
    let turns = tokenizer.encode_turns(&two_turns("Hi", "Yes")).unwrap();
    let text = |mask: Vec<bool>| {
        let ids: Vec<u32> =
            turns.ids.iter().zip(mask).filter_map(|(&id, flag)| flag.then_some(id)).collect();
        tokenizer.decode(&ids, false).unwrap()
    };
    assert_eq!(text(turns.assistant_mask()), "Hi<|im_end|>Yes<|im_end|>");
    assert_eq!(text(turns.last_assistant_mask()), "Yes<|im_end|>");
    assert_eq!(
        text(turns.completion_mask(|i, role| role == Role::Assistant && i < 3)),
        "Hi<|im_end|>"
    );
    assert_eq!(text(turns.completion_mask(|_, _| false)), "");
}

#[test]
fn a_reply_is_what_comes_after_the_prompt_that_generation_sees() {
    for template in ["plain_chatml", "llama3_like", "gemma3_like", "qwen25_like"] {
        let tokenizer = with_template(template);
        let options = RenderOptions { unix_time_secs: Some(0), ..RenderOptions::default() };
        let prompt = [Message::user("q")];
        let (prompt_ids, reply_ids) = tokenizer.encode_reply(&prompt, "Yes", &options).unwrap();
        let generation = RenderOptions { unix_time_secs: Some(0), ..RenderOptions::generation() };
        assert_eq!(prompt_ids, tokenizer.encode_chat(&prompt, &generation).unwrap());
        assert!(tokenizer.decode(&reply_ids, false).unwrap().starts_with("Yes<"), "{template}");
        let finished = [prompt[0].clone(), Message::assistant("Yes")];
        let whole = tokenizer.encode_turns_with(&finished, &options).unwrap().ids;
        assert!(whole.starts_with(&[prompt_ids, reply_ids].concat()), "{template}");
    }
}

#[test]
fn a_reply_is_found_where_an_answered_conversation_loses_its_system_message() {
    // The template writes the system message before the last message, if that is the user's.
    let tokenizer = with_template("mistral3_like");
    let prompt = [Message::system("Be brief."), Message::user("q")];
    let options = RenderOptions::default();
    let (prompt_ids, reply_ids) = tokenizer.encode_reply(&prompt, "Yes", &options).unwrap();
    assert_eq!(tokenizer.decode(&prompt_ids, false).unwrap(), "<s>[INST] Be brief.\n\nq[/INST]");
    assert_eq!(tokenizer.decode(&reply_ids, false).unwrap(), "Yes</s>");

    let finished = [prompt.as_slice(), &[Message::assistant("Yes")]].concat();
    let error = tokenizer.encode_turns(&finished).unwrap_err();
    assert!(matches!(error, TokenizerError::Turn { index: 0, role: Role::System, .. }));
    assert_eq!(
        error.to_string(),
        "cannot locate the tokens of message 0 (system): the template drops, repeats or rewrites its beginning"
    );
}

#[test]
fn a_turn_that_cannot_be_located_is_an_error() {
    let turns = |template: &str| {
        Directory::new(template)
            .load()
            .encode_turns(&[Message::user("q"), Message::assistant("abc")])
    };
    let is_turn = |template: &str, words: &str| {
        let error = turns(template).unwrap_err();
        assert!(matches!(error, TokenizerError::Turn { .. }), "{template}: {error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let each = |body: &str| format!("{{% for m in messages %}}{body}</s>{{% endfor %}}");
    assert!(turns(&each("{{ m.content }}")).is_ok());
    is_turn(&each("{{ m.content | upper }}{{ m.content }}"), "drops, repeats or rewrites");
    is_turn(&each("{{ m.content }}{{ m.content }}"), "drops, repeats or rewrites");
    is_turn(&each("{{ m.content[0] | upper }}{{ m.content[1:] }}"), "rewrites its beginning");
    is_turn(&each("{{ m.content[:-1] }}{{ m.content[-1] | upper }}"), "rewrites its end");
    is_turn(&each("{{ m.content[1:] }}"), "rewrites its beginning");
    is_turn(&each("{{ m.role }}"), "drops, repeats or rewrites");
    is_turn(&each("{{ m.content[::-1] }}{{ m.content | length }}"), "drops, repeats or rewrites");
    is_turn(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        "message 1 (assistant): the template ends the turn with none of the stop tokens (</s>)",
    );
}

#[test]
fn private_use_characters_in_messages_are_no_obstacle() {
    let odd = "a\u{F0000}b\u{F0001}c\u{F8F2}";
    check("plain_chatml", &two_turns(odd, "x"), &[&format!("{odd}<|im_end|>"), "x<|im_end|>"]);
    let both = Message::assistant("\u{F0000}\u{100000}");
    let error = with_template("plain_chatml").encode_turns(&[both]).unwrap_err();
    assert!(matches!(error, TokenizerError::InvalidOptions(_)), "{error}");
}

#[test]
fn options_for_unfinished_conversations_are_refused() {
    let tokenizer = with_template("plain_chatml");
    for options in [RenderOptions::generation(), RenderOptions::continuation()] {
        let error = tokenizer.encode_turns_with(&[Message::user("q")], &options).unwrap_err();
        assert!(matches!(error, TokenizerError::InvalidOptions(_)), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn replies_come_back_whole_whatever_they_say(
        said in prop::collection::vec(("[ \n]{0,2}[a-z<>|é😀\\n ]{0,12}", "[a-zé😀 \n.<|]{1,16}"), 1..4),
    ) {
        let messages: Vec<Message> = said
            .iter()
            .flat_map(|(user, reply)| [Message::user(user.as_str()), Message::assistant(reply.as_str())])
            .collect();
        let tokenizer = with_template("plain_chatml");
        let turns = tokenizer.encode_turns(&messages).unwrap();
        let expected: Vec<String> = said.iter().map(|(_, reply)| format!("{reply}<|im_end|>")).collect();
        prop_assert_eq!(replies(&tokenizer, &turns), expected);
        let trimmed: Vec<String> =
            said.iter().map(|(_, reply)| format!("{}<|eot_id|>", reply.trim())).collect();
        let tokenizer = with_template("llama3_like");
        if said.iter().all(|(_, reply)| !reply.trim().is_empty()) {
            let turns = tokenizer.encode_turns(&messages);
            if let Ok(turns) = turns {
                prop_assert_eq!(replies(&tokenizer, &turns), trimmed);
            } else {
                // Only an empty user turn may be beyond finding.
                prop_assert!(said.iter().any(|(user, _)| user.trim().is_empty()));
            }
        }
    }
}
