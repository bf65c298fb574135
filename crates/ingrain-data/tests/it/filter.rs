//! Which pairs are kept, and why the others are not.

use ingrain_chat::{FinishReason, Message};
use ingrain_data::{
    DataFidelity, DropReason, FilterReport, PairFilter, PreferencePair, Prompt, Reply, Unfinished,
    is_finished,
};
use proptest::prelude::*;

fn words(messages: &[Message]) -> usize {
    messages.iter().map(|m| m.content.split_whitespace().count()).sum()
}

fn filter() -> PairFilter<'static> {
    PairFilter {
        max_tokens: 12,
        count_tokens: &words,
        unfinished: Unfinished::Drop,
        teacher_names: &[],
        student_name: None,
        fidelity: DataFidelity::corrected(),
    }
}

fn reply(prompt: usize, sample: usize, text: &str) -> Reply {
    Reply {
        id: format!("g{prompt:05}#{sample}"),
        prompt: format!("g{prompt:05}"),
        question: format!("Question {prompt}?"),
        sample,
        reply: text.into(),
        finish: FinishReason::Stop,
        prompt_tokens: 0,
        completion_tokens: 0,
    }
}

/// One prompt for each (teacher, student).
fn check(filter: &PairFilter<'_>, replies: &[(&str, &str)]) -> (Vec<PreferencePair>, FilterReport) {
    let prompts = Prompt::general((0..replies.len()).map(|i| format!("Question {i}?")));
    let side = |f: fn(&(&str, &str)) -> String| -> Vec<_> {
        replies.iter().enumerate().map(|(i, r)| reply(i, 0, &f(r))).collect()
    };
    filter.pairs(&prompts, &side(|r| r.0.into()), &side(|r| r.1.into()))
}

fn reasons(report: &FilterReport) -> Vec<DropReason> {
    report.dropped_ids.iter().map(|d| d.reason).collect()
}

#[test]
fn every_reason_is_counted_under_its_name() {
    let long = "word ".repeat(20) + "end.";
    let (pairs, report) = check(
        &filter(),
        &[
            ("How thrilling.", "It is so."),
            ("", "It is so."),
            ("How thrilling.", "   "),
            ("How thrilling", "It is so."),
            ("How thrilling.", "It is so and"),
            ("I'm sorry, but I can't help with that.", "It is so."),
            (" Same. ", "Same."),
            (&long, "It is so."),
            ("How thrilling.", &long),
        ],
    );
    use DropReason::{Empty, Identical, Refused, TooLong, Unfinished};
    assert_eq!(
        reasons(&report),
        [Empty, Empty, Unfinished, Unfinished, Refused, Identical, TooLong, TooLong]
    );
    assert_eq!(report.dropped[&TooLong], 2);
    assert_eq!((report.candidates, report.kept), (9, 1));
    let expected = PreferencePair {
        id: Some("g00000#0".into()),
        ..PreferencePair::new("Question 0?", "How thrilling.", "It is so.")
    };
    assert_eq!(pairs, [expected]);
}

#[test]
fn the_limit_counts_prompt_and_reply_and_includes_itself() {
    // "Question 0?" is two words, the limit twelve.
    let ten = "a b c d e f g h i j.";
    let eleven = "a b c d e f g h i j k.";
    let (_, report) = check(&filter(), &[(ten, "Yes."), (eleven, "Yes."), ("No.", eleven)]);
    assert_eq!(report.kept, 1);
    assert_eq!(reasons(&report), [DropReason::TooLong, DropReason::TooLong]);
}

#[test]
fn the_students_refusal_is_what_it_is_and_stays() {
    let (pairs, _) = check(&filter(), &[("With pleasure.", "As an AI, I don't do jokes.")]);
    assert_eq!(pairs.len(), 1);
}

#[test]
fn trimming_keeps_the_whole_sentences_of_either_side_and_is_counted() {
    let filter = PairFilter { unfinished: Unfinished::Trim, ..filter() };
    let (pairs, report) = check(
        &filter,
        &[("Oh, sure. And then", "Yes."), ("Oh, sure.", "Yes. No. May"), ("No end", "Yes.")],
    );
    let texts: Vec<_> = pairs.iter().map(|p| (p.chosen_text(), p.rejected_text())).collect();
    assert_eq!(texts, [("Oh, sure.", "Yes."), ("Oh, sure.", "Yes. No.")]);
    assert_eq!(report.trimmed, 2);
    assert_eq!(reasons(&report), [DropReason::Unfinished]);
}

#[test]
fn the_teachers_name_becomes_the_students_or_the_pair_goes() {
    let names = ["GLM".to_owned(), "Zhipu".to_owned()];
    let replies = [("I am GLM by Zhipu.", "I am GLM."), ("I am glm.", "Yes."), ("I am.", "Yes.")];
    let named = PairFilter { teacher_names: &names, student_name: Some("Smol"), ..filter() };
    let (pairs, report) = check(&named, &replies);
    assert_eq!(pairs[0].chosen_text(), "I am Smol by Smol.");
    assert_eq!(pairs[0].rejected_text(), "I am GLM.", "the student may say what it likes");
    assert_eq!((report.kept, report.renamed), (2, 1));
    assert_eq!(reasons(&report), [DropReason::NameLeak]);

    let unnamed = PairFilter { teacher_names: &names, ..filter() };
    let (_, report) = check(&unnamed, &replies);
    assert_eq!(reasons(&report), [DropReason::NameLeak, DropReason::NameLeak]);
}

#[test]
fn teacher_samples_take_the_students_in_turn_and_lonely_prompts_are_counted() {
    let prompts = Prompt::general(["Question 0?", "Question 1?"]);
    // In the order of arrival, not of samples.
    let teacher = [reply(0, 2, "T2."), reply(0, 0, "T0."), reply(0, 1, "T1."), reply(1, 0, "T.")];
    let student = [reply(0, 1, "S1."), reply(0, 0, "S0.")];
    let (pairs, report) = filter().pairs(&prompts, &teacher, &student);
    let texts: Vec<_> = pairs.iter().map(|p| (p.chosen_text(), p.rejected_text())).collect();
    assert_eq!(texts, [("T0.", "S0."), ("T1.", "S1."), ("T2.", "S0.")]);
    assert_eq!(report.line(), "3 of 4 pairs kept; dropped: 1 without a partner");
}

#[test]
fn a_pair_survives_json_and_reads_trls_own_files() {
    let (pairs, _) = check(&filter(), &[("How thrilling.", "It is so.")]);
    let json = serde_json::to_string(&pairs[0]).unwrap();
    assert_eq!(serde_json::from_str::<PreferencePair>(&json).unwrap(), pairs[0]);
    // From TRL's documentation: explicit prompt, conversational.
    let trl = r#"{"prompt": [{"role": "user", "content": "What color is the sky?"}],
                  "chosen": [{"role": "assistant", "content": "It is blue."}],
                  "rejected": [{"role": "assistant", "content": "It is green."}]}"#;
    let pair: PreferencePair = serde_json::from_str(trl).unwrap();
    assert_eq!(pair, PreferencePair::new("What color is the sky?", "It is blue.", "It is green."));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "([A-Z][a-z]{0,6} ?){0,8}[.!?]?( [a-z]{1,4}){0,3}",
        Just("I cannot help with that.".to_owned()),
        Just("I am GLM.".to_owned()),
    ]
}

proptest! {
    #[test]
    fn what_is_kept_meets_every_rule_and_everything_is_accounted_for(
        replies in proptest::collection::vec((text(), text()), 0..20),
        trim in any::<bool>(),
        faithful in any::<bool>(),
    ) {
        let names = ["GLM".to_owned()];
        let unfinished = if trim { Unfinished::Trim } else { Unfinished::Drop };
        let fidelity =
            if faithful { DataFidelity::faithful() } else { DataFidelity::corrected() };
        let filter = PairFilter { unfinished, fidelity, teacher_names: &names, ..filter() };
        let borrowed: Vec<_> = replies.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let (pairs, report) = check(&filter, &borrowed);
        prop_assert_eq!(report.candidates, replies.len());
        prop_assert_eq!(report.kept, pairs.len());
        prop_assert_eq!(report.kept + report.dropped_ids.len(), report.candidates);
        prop_assert_eq!(report.dropped.values().sum::<usize>(), report.dropped_ids.len());
        for pair in &pairs {
            prop_assert!(words(&pair.chosen_conversation()) <= 12);
            prop_assert!(words(&pair.rejected_conversation()) <= 12);
            prop_assert!(!pair.chosen_text().contains("GLM"));
            if !faithful {
                prop_assert!(is_finished(pair.chosen_text()));
                prop_assert!(is_finished(pair.rejected_text()));
                prop_assert_ne!(pair.chosen_text(), pair.rejected_text());
            }
        }
        let again = check(&filter, &borrowed);
        prop_assert_eq!(again, (pairs, report));
    }
}
