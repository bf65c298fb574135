//! Order, sides, resume, several raters.

use std::collections::BTreeSet;

use ingrain_data::PreferencePair;
use ingrain_judge::{Verdict, read_labels};
use ingrain_run::write_jsonl;
use ingrain_serve::{Annotation, Answer, ServeError};

use super::cases;

fn left_is_own(annotation: &Annotation, rater: &str, index: usize) -> bool {
    annotation.item(rater, index).expect("an item").left.starts_with("own")
}

#[test]
fn every_rater_sees_all_pairs_in_an_order_and_on_sides_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let sheet = Annotation::with_cases(cases(40), dir.path().join("l.jsonl"), 1).expect("opens");
    let seen = |rater: &str| -> Vec<String> {
        (0..40).map(|i| sheet.item(rater, i).expect("an item").message).collect()
    };
    assert_eq!(seen("Ann").iter().collect::<BTreeSet<_>>().len(), 40);
    assert_ne!(seen("Ann"), seen("Ben"));
    let own_left = (0..40).filter(|&i| left_is_own(&sheet, "Ann", i)).count();
    assert!((8..=32).contains(&own_left), "sides are mixed: {own_left}");
    assert!(sheet.item("Ann", 40).is_none());
}

#[test]
fn answers_by_side_become_labels_by_case_and_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("labels.jsonl");
    let mut sheet = Annotation::with_cases(cases(6), &path, 1).expect("opens");
    // Ann always prefers her own side's "own", Ben is undecided and then changes his mind once.
    for i in 0..6 {
        let answer = if left_is_own(&sheet, "Ann", i) { Answer::Left } else { Answer::Right };
        assert!(sheet.label("Ann", i, answer).expect("written"));
    }
    assert!(sheet.label("Ben", 0, Answer::Tie).expect("written"));
    assert!(sheet.label("Ben", 0, Answer::Left).expect("written"));
    assert!(!sheet.label("Ben", 6, Answer::Left).expect("no such pair"));
    let item = sheet.item("Ben", 0);
    drop(sheet);

    let sheet = Annotation::with_cases(cases(6), &path, 1).expect("opens");
    let progress = sheet.progress("Ann");
    assert_eq!((progress.done, progress.total, progress.next), (6, 6, None));
    assert_eq!((sheet.progress("Ben").done, sheet.progress("Ben").next), (1, Some(1)));
    assert_eq!(sheet.item("Ben", 0), item, "the same sides again");
    assert_eq!(item.and_then(|item| item.answer), Some(Answer::Left));
    let labels = read_labels(&path).expect("labels");
    let of = |rater: &str| labels.iter().filter(|l| l.rater == rater).collect::<Vec<_>>();
    assert!(of("Ann").iter().all(|label| label.verdict == Verdict::First));
    assert_eq!((of("Ann").len(), of("Ben").len()), (6, 1));
    assert_ne!(of("Ben")[0].verdict, Verdict::Tie);
}

#[test]
fn a_run_directory_gives_its_pairs_or_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = Annotation::open(dir.path(), 1);
    assert!(matches!(error, Err(ServeError::NothingToAnnotate { .. })));
    let pair = PreferencePair::new("Why?", "Oh, why not.", "Because.");
    write_jsonl(dir.path().join("pairs.jsonl"), &[pair.clone(), pair]).expect("written");
    let sheet = Annotation::open(dir.path(), 1).expect("opens");
    assert_eq!(sheet.progress("Ann").total, 1, "the same pair once");
    let coherence = dir.path().join("eval/coherence");
    std::fs::create_dir_all(&coherence).expect("created");
    write_jsonl(coherence.join("cases.jsonl"), &cases(3)).expect("written");
    assert_eq!(Annotation::open(dir.path(), 1).expect("opens").progress("Ann").total, 3);
}

#[test]
fn names_are_trimmed_and_bounded() {
    assert_eq!(Annotation::rater("  Ann "), Some("Ann"));
    let long = "x".repeat(41);
    for name in ["", "   ", "a\nb", long.as_str()] {
        assert_eq!(Annotation::rater(name), None);
    }
}
