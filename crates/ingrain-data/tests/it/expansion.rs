//! Prompt expansion: what is kept, what is rejected and why, and that a kill changes nothing.

use ingrain_chat::{ChatError, Scripted};
use ingrain_constitution::{Constitution, PromptSet};
use ingrain_data::{
    DataFidelity, Expansion, ExpansionReply, ExpansionReport, Fidelity, Prompt, RejectReason,
    expand_prompts,
};
use ingrain_run::JsonlStore;

use crate::model::{Setting, store};

fn constitution() -> Constitution {
    let text = "{name: dry, summary: Dry., assertions: [\
        {text: I stay dry., facet: style, questions: ['How do I boil an egg?']},\
        {text: I am kind., facet: trait, questions: ['My cat died last night.']}]}";
    Constitution::parse(text, "dry.yaml").unwrap()
}

fn expansion(fidelity: DataFidelity) -> Expansion {
    Expansion { questions_per_assertion: 3, max_rounds: 3, fidelity, ..Expansion::default() }
}

/// Knows which assertion it is asked about and which round it is.
fn writer() -> Scripted {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Scripted::from_fn(move |request| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        match (request.messages[0].content.contains("I stay dry."), n) {
            (true, 0) => "Sure, here they are:\n\
                1. How do I boil an egg well?\n\
                2. Name three rivers.\n"
                .into(),
            (false, 1) => {
                "1. Please name three rivers.\n2. How do I boil an egg?\n3. Write a limerick."
                    .into()
            }
            _ => "1. Is tea better than coffee?\n2. What else?".into(),
        }
    })
}

fn expand(
    expansion: &Expansion,
    model: &Scripted,
    replies: &mut JsonlStore<ExpansionReply>,
) -> (Vec<Prompt>, ExpansionReport) {
    let setting = Setting::default();
    let generation = setting.generation("expansion", model);
    let (prompts, report, _) =
        expand_prompts(&generation, &PromptSet::embedded(), &constitution(), expansion, replies)
            .unwrap();
    (prompts, report)
}

#[test]
fn near_duplicates_of_own_questions_and_of_everything_kept_are_rejected_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut replies = store(&dir.path().join("expansion.jsonl"));
    let (prompts, report) = expand(&expansion(DataFidelity::default()), &writer(), &mut replies);
    let texts: Vec<_> = prompts.iter().map(|p| (p.id.as_str(), p.text.as_str())).collect();
    assert_eq!(
        texts,
        [
            ("a00-q00", "How do I boil an egg?"),
            ("a00-q01", "Name three rivers."),
            ("a00-q02", "Is tea better than coffee?"),
            ("a01-q00", "My cat died last night."),
            ("a01-q01", "Write a limerick."),
            ("a01-q02", "What else?"),
        ]
    );
    assert!(report.lacking.is_empty());
    let rejected: Vec<_> = report.rejected.iter().map(|r| (r.assertion, r.text.as_str())).collect();
    assert_eq!(
        rejected,
        [
            (0, "Sure, here they are:"),
            (0, "1. How do I boil an egg well?"),
            (1, "1. Please name three rivers."),
            (1, "2. How do I boil an egg?"),
            (1, "1. Is tea better than coffee?"),
        ]
    );
    assert_eq!(report.rejected[0].reason, RejectReason::Malformed);
    let RejectReason::NearDuplicate { of, overlap } = &report.rejected[1].reason else { panic!() };
    assert_eq!(of, "How do I boil an egg?");
    assert!((overlap - 6.0 / 7.0).abs() < 1e-12);
}

#[test]
fn faithfully_questions_are_compared_with_those_of_the_last_assertion() {
    let dir = tempfile::tempdir().unwrap();
    let mut replies = store(&dir.path().join("expansion.jsonl"));
    let fidelity = DataFidelity { duplicates: Fidelity::Faithful, ..DataFidelity::default() };
    let (prompts, _) = expand(&expansion(fidelity), &writer(), &mut replies);
    assert_eq!(prompts[1].text, "How do I boil an egg well?", "its own question is not looked at");
}

#[test]
fn a_resumed_expansion_asks_only_for_rounds_that_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("expansion.jsonl");
    let whole = expand(&expansion(DataFidelity::default()), &writer(), &mut store(&path));
    let silent = Scripted::try_from_fn(|_| Err(ChatError::Model("asked again".into())));
    let again = expand(&expansion(DataFidelity::default()), &silent, &mut store(&path));
    assert_eq!(again, whole);
}

#[test]
fn what_the_rounds_do_not_bring_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut replies = store(&dir.path().join("expansion.jsonl"));
    let mute = Scripted::from_fn(|_| "I would rather not.".into());
    let (prompts, report) = expand(&expansion(DataFidelity::default()), &mute, &mut replies);
    assert_eq!((prompts.len(), replies.len()), (2, 6));
    assert_eq!(report.lacking.into_iter().collect::<Vec<_>>(), [(0, 2), (1, 2)]);
}
