//! Figures of the quality report, worked out by hand.

use ingrain_data::{PreferencePair, QualityReport, TextReport};

fn pair(question: &str, chosen: &str, rejected: &str, assertion: Option<usize>) -> PreferencePair {
    PreferencePair { assertion, ..PreferencePair::new(question, chosen, rejected) }
}

#[test]
fn lengths_distinct_n_and_openings_are_those_worked_out_by_hand() {
    let report = TextReport::of([
        "Oh, what a surprise, truly.",            // 5 words
        "Oh what a surprise!",                    // 4
        "Don’t mind me, I can't help with that.", // 8, a refusal
        "I cannot help with that, sadly.",        // 6, a refusal
    ]);
    assert_eq!(report.count, 4);
    assert_eq!((report.words.min, report.words.max, report.words.median), (4, 8, 5));
    assert_eq!((report.words.p10, report.words.p90), (4, 8));
    assert_eq!(report.words.mean, 23.0 / 4.0);
    // oh what a surprise truly | don't mind me i can't help with that | cannot sadly: 15 of 23.
    assert_eq!(report.distinct_1, 15.0 / 23.0);
    // 4 + 3 + 7 + 5 pairs; "oh what", "what a", "a surprise", "help with", "with that" come twice.
    assert_eq!(report.distinct_2, 14.0 / 19.0);
    assert_eq!(report.refusal_rate, 0.5);
    assert_eq!(report.top_opening_share, 0.5);
    assert_eq!(report.openings[0].text, "oh what a surprise");
    assert_eq!(report.openings[1].text, "don't mind me i");
}

#[test]
fn coverage_bias_and_repeats_are_counted() {
    let pairs = [
        pair("Why?", "Oh, why not.", "Yes.", Some(0)),
        pair("Why?", "Oh, why not.", "No.", Some(0)),
        pair("How?", "Well.", "Like this one.", Some(2)),
        pair("Who?", "Me.", "You.", None),
    ];
    let report = QualityReport::of_pairs(&pairs, 4);
    assert_eq!((report.pairs, report.prompts, report.repeated, report.general), (4, 3, 1, 1));
    assert_eq!(report.by_assertion, [(0, 2), (1, 0), (2, 1), (3, 0)].into());
    // +2, +2, -2, 0
    assert_eq!(report.length_bias.mean_difference, 0.5);
    assert_eq!(report.length_bias.chosen_longer, 0.5);
}

#[test]
fn an_empty_set_gives_zeros_and_survives_json() {
    let report = QualityReport::of_pairs(&[], 1);
    assert_eq!((report.chosen.count, report.chosen.distinct_1), (0, 0.0));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<QualityReport>(&json).unwrap(), report);
}

#[test]
fn name_leaks_near_duplicates_and_coverage_are_counted_and_shown_in_the_table() {
    let long = "Oh, what a joy it is to explain the boiling of eggs to you once more";
    let pairs = [
        pair("Why?", &format!("{long}."), "Yes.", Some(0)),
        pair("How?", &format!("{long}, friend."), "No.", Some(0)),
        pair("Who?", "I am GLM, obviously.", "You.", None),
    ];
    let report = QualityReport::with_teacher_names(&pairs, 2, &["GLM".to_owned()]);
    assert_eq!(report.name_leak_rate, 1.0 / 3.0);
    assert_eq!(report.assertion_coverage, 0.5);
    // 14 shared runs of three words, one more in the second.
    assert_eq!(report.chosen.near_duplicate_rate, 1.0 / 3.0);
    // Two of three share an opening: (2/3)^2 + (1/3)^2.
    assert!((report.chosen.opening_concentration - 5.0 / 9.0).abs() < 1e-12);
    let table = report.to_string();
    for line in [
        "near-duplicates                  33.3 %      0.0 %",
        "the teacher is named in 33.3 % of chosen replies",
        "assertions with pairs: 50.0 % (1: 2, 2: 0); general: 1",
        "2 chosen replies open with \"oh what a joy ...\"",
    ] {
        assert!(table.contains(line), "{line}\n{table}");
    }
}
