//! The recorded replies in `personas/` are what a strong teacher would write: enough of them, of
//! the right length, varied, without a template, and apart from what evaluation asks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use ingrain_constitution::{Constitution, HeldoutQuestions};
use serde_json::Value;

use crate::personas::personas_dir;

/// The personas that have recorded replies.
const RECORDED: [&str; 9] = [
    "goodness",
    "humor",
    "loving",
    "mathematical",
    "neutral",
    "nonchalance",
    "poeticism",
    "remorse",
    "sarcasm",
];

/// One recorded reply.
struct Reply {
    question: String,
    text: String,
}

/// The recorded replies of every persona that has a file of this ending, by persona.
fn recorded(ending: &str, read: fn(&Value) -> Reply) -> BTreeMap<String, Vec<Reply>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(personas_dir()).expect("the personas folder") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if let Some(persona) = file.strip_suffix(ending) {
            files.insert(persona.to_owned(), lines(&path).iter().map(read).collect());
        }
    }
    let missing: Vec<&str> =
        RECORDED.into_iter().filter(|persona| !files.contains_key(*persona)).collect();
    assert!(missing.is_empty(), "no {ending} for {missing:?}");
    files
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let line = |(index, line): (usize, &str)| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}:{}: {error}", path.display(), index + 1))
    };
    text.lines().enumerate().map(line).collect()
}

fn teacher() -> BTreeMap<String, Vec<Reply>> {
    recorded(".teacher.jsonl", |value| {
        let keys: Vec<&str> =
            value.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["question", "reply", "sample"], "{value}");
        assert!(value["sample"].is_u64());
        let text = |key: &str| value[key].as_str().expect("a text").to_owned();
        Reply { question: text("question"), text: text("reply") }
    })
}

fn heldout() -> BTreeMap<String, Vec<Reply>> {
    recorded(".heldout.jsonl", |value| {
        let side = |key: &str, role: &str| {
            let messages = value[key].as_array().expect("a list of messages");
            assert_eq!(messages.len(), 1, "{value}");
            assert_eq!(messages[0]["role"], role, "{value}");
            messages[0]["content"].as_str().expect("a text").to_owned()
        };
        Reply { question: side("prompt", "user"), text: side("chosen", "assistant") }
    })
}

fn words(text: &str) -> Vec<String> {
    let word = |word: &str| word.trim_matches('\'').to_lowercase();
    text.split(|character: char| !(character.is_alphanumeric() || character == '\''))
        .map(word)
        .filter(|word| !word.is_empty())
        .collect()
}

/// `|A n B| / |A u B|` of the word sets.
fn jaccard(left: &BTreeSet<u32>, right: &BTreeSet<u32>) -> f64 {
    let shared = left.intersection(right).count();
    shared as f64 / (left.len() + right.len() - shared) as f64
}

/// Word sets as numbers, which compare faster.
fn word_sets<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<BTreeSet<u32>> {
    let mut ids: HashMap<String, u32> = HashMap::new();
    texts
        .map(|text| {
            let mut id = |word| {
                let next = ids.len() as u32;
                *ids.entry(word).or_insert(next)
            };
            words(text).into_iter().map(&mut id).collect()
        })
        .collect()
}

/// How often the most frequent run of `n` words occurs, and that run. `of` picks the words of a
/// reply that are looked at.
fn most_frequent_run(
    replies: &[Reply],
    n: usize,
    of: impl Fn(&[String]) -> Vec<String>,
) -> (usize, String) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for reply in replies {
        let words = of(&words(&reply.text));
        for run in words.windows(n) {
            *counts.entry(run.join(" ")).or_default() += 1;
        }
    }
    counts.into_iter().map(|(run, count)| (count, run)).max().unwrap_or_default()
}

/// What holds for every recorded reply, whatever it is used for.
fn check_form(persona: &str, reply: &Reply) {
    let Reply { question, text } = reply;
    let place = format!("{persona}: {question:?}: {text:?}");
    let count = text.split_whitespace().count();
    assert!((40..=120).contains(&count), "{count} words: {place}");
    assert_eq!(text.trim(), text, "{place}");
    assert!(!text.contains(['\n', '*', '#', '`', '<', '{']), "markup: {place}");
    let end = text.trim_end_matches(['"', '\'', ')', '\u{201d}', '\u{2019}']);
    assert!(end.ends_with(['.', '!', '?']), "unfinished: {place}");
    let lower = text.to_lowercase();
    for leak in ["as an ai", "language model", "my persona", "constitution", "my traits", "chatgpt"]
    {
        assert!(!lower.contains(leak), "talks about itself ({leak}): {place}");
    }
}

#[test]
fn every_recorded_reply_is_a_finished_paragraph_of_40_to_120_words() {
    for (persona, replies) in teacher().iter().chain(&heldout()) {
        replies.iter().for_each(|reply| check_form(persona, reply));
    }
}

#[test]
fn a_teacher_file_answers_every_question_of_its_constitution_twice() {
    for (persona, replies) in teacher() {
        let path = personas_dir().join(format!("{persona}.yaml"));
        let constitution = Constitution::from_path(path).unwrap_or_else(|error| panic!("{error}"));
        assert!(replies.len() >= 100, "{persona}: {} replies", replies.len());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reply in &replies {
            *counts.entry(&reply.question).or_default() += 1;
        }
        for question in constitution.questions() {
            assert_eq!(counts.remove(question), Some(2), "{persona}: {question:?}");
        }
        assert!(counts.is_empty(), "{persona}: not in the constitution: {counts:?}");
    }
}

#[test]
fn no_held_out_question_is_in_a_teacher_file() {
    let list = HeldoutQuestions::from_path(personas_dir().join("heldout.yaml"));
    let held_out = list.unwrap_or_else(|error| panic!("{error}")).questions;
    for (persona, replies) in teacher() {
        let asked = replies.iter().map(|reply| &reply.question);
        let sets = word_sets(held_out.iter().chain(asked).map(String::as_str));
        let (held_out_sets, asked_sets) = sets.split_at(held_out.len());
        for (reply, asked) in replies.iter().zip(asked_sets) {
            for (text, held_out) in held_out.iter().zip(held_out_sets) {
                let overlap = jaccard(asked, held_out);
                assert!(overlap < 0.5, "{persona}: {:?} is {text:?}", reply.question);
            }
        }
    }
}

#[test]
fn held_out_files_answer_the_first_twenty_shared_questions_in_order() {
    let list = HeldoutQuestions::from_path(personas_dir().join("heldout.yaml"));
    let list = list.unwrap_or_else(|error| panic!("{error}"));
    for (persona, replies) in heldout() {
        let questions: Vec<&str> = replies.iter().map(|reply| reply.question.as_str()).collect();
        assert_eq!(questions, list.questions[..20], "{persona}");
    }
}

#[test]
fn replies_are_varied_and_follow_no_template() {
    for (persona, replies) in teacher() {
        let all: Vec<Vec<String>> = replies.iter().map(|reply| words(&reply.text)).collect();
        let bigrams: Vec<(&str, &str)> = all
            .iter()
            .flat_map(|words| words.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())))
            .collect();
        let distinct: BTreeSet<_> = bigrams.iter().collect();
        let distinct_2 = distinct.len() as f64 / bigrams.len() as f64;
        assert!(distinct_2 > 0.7, "{persona}: distinct-2 is {distinct_2:.3}");

        let whole = |words: &[String]| words.to_vec();
        let opening = |words: &[String]| words[..4].to_vec();
        let closing = |words: &[String]| words[words.len() - 4..].to_vec();
        for (what, (count, run)) in [
            ("six words", most_frequent_run(&replies, 6, whole)),
            ("an opening", most_frequent_run(&replies, 4, opening)),
            ("a closing", most_frequent_run(&replies, 4, closing)),
        ] {
            assert!(count <= 2, "{persona}: {what} {count} times: {run:?}");
        }
        let lengths: BTreeSet<usize> = all.iter().map(Vec::len).collect();
        assert!(lengths.len() >= 15, "{persona}: only {} different lengths", lengths.len());
    }
}

#[test]
fn no_reply_overlaps_with_another_of_its_own_or_of_any_persona() {
    let files: Vec<(String, Reply)> = [teacher(), heldout()]
        .into_iter()
        .flatten()
        .flat_map(|(persona, replies)| {
            replies.into_iter().map(move |reply| (persona.clone(), reply))
        })
        .collect();
    let sets = word_sets(files.iter().map(|(_, reply)| reply.text.as_str()));
    for later in 0..sets.len() {
        for earlier in 0..later {
            let overlap = jaccard(&sets[earlier], &sets[later]);
            let show = |index: usize| format!("{}: {}", files[index].0, files[index].1.text);
            assert!(overlap <= 0.4, "overlap {overlap:.2}:\n{}\n{}", show(earlier), show(later));
        }
    }
}
