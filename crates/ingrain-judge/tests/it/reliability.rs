//! Reliability of simulated judges, whose errors are known.

use std::collections::BTreeMap;

use ingrain_judge::{
    Agreement, Case, InterJudge, Label, Measure, OnConflict, Reliability, ReliabilityConfig,
    SimulatedJudge, Standing, Verdict, decide,
};
use ingrain_stats::{Bootstrap, Stream};

use crate::{compare, judge};

const CASES: usize = 600;

fn truth() -> BTreeMap<String, Verdict> {
    let mut stream = Stream::new(3, 3);
    let mut verdict = || match stream.below(5) {
        0 | 1 => Verdict::First,
        2 | 3 => Verdict::Second,
        _ => Verdict::Tie,
    };
    (0..CASES).map(|i| (format!("{i:04}"), verdict())).collect()
}

fn cases() -> Vec<Case> {
    (0..CASES).map(|i| compare(&format!("{i:04}"), "one", "two")).collect()
}

fn labels() -> Vec<Label> {
    let label = |(case, verdict)| Label { case, rater: "Ann".into(), verdict };
    truth().into_iter().map(label).collect()
}

fn assess(simulated: SimulatedJudge, repeats: usize) -> Reliability {
    let (rulings, _) = judge(&simulated, &cases(), repeats);
    let bootstrap = Bootstrap { replicates: 200, ..Bootstrap::default() };
    let config = ReliabilityConfig { bootstrap, ..ReliabilityConfig::default() };
    config.assess("judge", &cases(), &rulings, &labels())
}

fn simulated(accuracy: f64) -> SimulatedJudge {
    SimulatedJudge { truth: truth(), accuracy, ..SimulatedJudge::default() }
}

#[track_caller]
fn near(measure: &Measure, expected: f64) {
    let Measure::Value(interval) = measure else { panic!("{measure}") };
    let width = interval.high - interval.low;
    assert!((interval.estimate - expected).abs() <= width, "{measure}, expected {expected}");
    assert!(width < 0.25, "{measure}");
}

#[test]
fn a_perfect_judge_is_reliable() {
    let report = assess(simulated(1.0), 0);
    assert_eq!(report.standing, Standing::Reliable);
    let agreement = report.labels.expect("labels");
    assert_eq!((agreement.cases, agreement.kappa.estimate()), (CASES, Some(1.0)));
    assert_eq!(agreement.mean_absolute_error.estimate(), Some(0.0));
    // No case of 600 was dropped, which still leaves room: Wilson's z^2 / (600 + z^2).
    let Measure::Value(dropped) = report.drop_rate else { panic!("defined") };
    assert_eq!((dropped.estimate, dropped.low), (0.0, 0.0));
    assert!((dropped.high - 0.006_361).abs() < 1e-5, "{dropped:?}");
}

#[test]
fn known_errors_are_recovered_and_fail_the_gates() {
    let report = assess(simulated(0.9), 1);
    let position = report.position.expect("two orders");
    // Of the 80 % without ties, both orders agree with 0.9^2 + 0.1^2 = 0.82: 0.2 + 0.8 * 0.82.
    near(&position.consistency, 0.856);
    near(&position.shown_first, 0.5);
    assert!(position.bias_p_value.expect("conflicts") > 0.01);
    near(&report.self_agreement.expect("repeats"), 0.856);
    // Of cases that stay settled on a side, 0.81 of 0.82 are right.
    let detection = report.detection.expect("labels");
    near(&detection.sensitivity, 0.81 / 0.82);
    near(&detection.specificity, 0.81 / 0.82);

    let poor = assess(simulated(0.7), 0);
    let Standing::NotReliable { because } = poor.standing else { panic!("reliable?") };
    assert!(because[0].starts_with("alpha (ordinal) is 0."), "{because:?}");
    assert!(because[1].starts_with("Spearman is 0."), "{because:?}");
}

#[test]
fn a_judge_that_likes_the_first_reply_is_found_out() {
    let lazy = SimulatedJudge { prefers_first: 0.3, ..simulated(1.0) };
    let position = assess(lazy, 0).position.expect("two orders");
    // Shown first wins 0.3 of all, and half of the 0.7 * 0.8 others that are no tie.
    near(&position.shown_first, (0.3 + 0.28) / (0.3 + 0.56));
    assert!(position.bias_p_value.expect("conflicts") < 1e-6);
}

#[test]
fn what_cannot_be_read_is_counted_and_dropped() {
    let report = assess(SimulatedJudge { unreadable: 0.1, ..simulated(1.0) }, 0);
    near(&report.unreadable_rate, 0.1);
    near(&report.drop_rate, 0.19);
    assert_eq!(report.unreadable.keys().collect::<Vec<_>>(), ["no_answer"]);
    assert_eq!(report.labels.expect("labels").observed.estimate(), Some(1.0));
}

#[test]
fn without_labels_a_judge_is_unknown_rather_than_reliable() {
    let (rulings, _) = judge(&simulated(1.0), &cases(), 0);
    let case = "of another run".to_owned();
    let elsewhere = Label { case, rater: "Ann".into(), verdict: Verdict::First };
    for labels in [&[][..], &[elsewhere]] {
        let report = ReliabilityConfig::default().assess("judge", &cases(), &rulings, labels);
        assert_eq!(report.standing, Standing::Unknown);
        assert!(report.labels.is_none() && report.raters.is_none());
    }
}

#[test]
fn judges_that_share_a_truth_agree_as_much_as_their_accuracy_allows() {
    let decisions = |accuracy| -> Vec<Option<Verdict>> {
        // One order and its own seed for each: the accuracy sets the difference.
        let (rulings, _) = judge(&simulated(accuracy), &cases(), 0);
        let all = decide(&cases(), &rulings, OnConflict::Drop);
        all.into_iter().map(|decision| decision.verdict()).collect()
    };
    let judges = [("exact".to_owned(), decisions(1.0)), ("good".to_owned(), decisions(0.95))];
    let agreement = InterJudge::new(&Bootstrap::default(), &cases(), &judges);
    let [pair] = &agreement.pairs[..] else { panic!("one pair") };
    assert_eq!((pair.first.as_str(), pair.second.as_str()), ("exact", "good"));
    for measure in [&pair.agreement.kappa, &pair.agreement.spearman, &agreement.alpha_nominal] {
        assert!(measure.estimate().expect("defined") > 0.98, "{measure}");
    }
    assert!(pair.agreement.mean_absolute_error.estimate().expect("defined") < 0.02);
}

#[test]
fn a_report_survives_json() {
    let report = assess(simulated(0.9), 1);
    let json = serde_json::to_string(&report).expect("serialises");
    let read: Reliability = serde_json::from_str(&json).expect("parses");
    assert_eq!((read.standing, read.unreadable), (report.standing, report.unreadable));
    // serde_json rounds the last digit of a float.
    let kappa = |labels: Option<Agreement>| labels?.kappa.estimate();
    let gap = kappa(read.labels).zip(kappa(report.labels)).map(|(a, b)| (a - b).abs());
    assert!(gap.expect("both") < 1e-12);
}
