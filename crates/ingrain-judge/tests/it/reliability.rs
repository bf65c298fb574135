//! Reliability of simulated judges, whose errors are known.

use std::collections::BTreeMap;

use ingrain_judge::{
    Agreement, Case, InterJudge, Label, Measure, OnConflict, Reliability, ReliabilityConfig,
    SimulatedJudge, Standing, Task, Verdict, decide,
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
fn a_judge_that_rewards_length_has_another_win_rate_at_equal_length() {
    // No difference but length: the first reply is longer on average, and wins with odds e^(1.5 tanh).
    let mut stream = Stream::new(8, 0);
    let (mut cases, mut truth) = (Vec::new(), BTreeMap::new());
    for i in 0..CASES {
        let longer = 60.0 + 100.0 * stream.normal();
        let odds = 1.5 * (longer / 100.0).tanh();
        let won = stream.happens(1.0 / (1.0 + (-odds).exp()));
        let second = 400;
        let first = (f64::from(second) + longer).max(0.0).round() as usize;
        let key = format!("{i:04}");
        cases.push(compare(&key, &"x".repeat(first), &"x".repeat(second as usize)));
        truth.insert(key, if won { Verdict::First } else { Verdict::Second });
    }
    let (rulings, _) = judge(&SimulatedJudge { truth, ..simulated(1.0) }, &cases, 0);
    let report = ReliabilityConfig::default().assess("judge", &cases, &rulings, &[]);
    let Measure::Value(raw) = report.first_win_rate.expect("compared") else { panic!("defined") };
    let by_length = report.length_controlled.expect("replies are compared");
    assert!(raw.low > 0.52 && (by_length.raw - raw.estimate).abs() < 1e-12, "{raw:?}");
    assert!(by_length.controlled.contains(0.5) && by_length.controlled.high < 0.58);
    assert!(by_length.length_effect.contains(1.5) && by_length.length_effect.low > 0.5);
}

#[test]
fn two_raters_are_held_against_each_other_and_their_majority_against_the_judge() {
    // Ben says "tie" on every tenth case, whatever it is; without a majority a case is a tie.
    let bens = labels().into_iter().enumerate().map(|(i, label)| {
        let verdict = if i % 10 == 0 { Verdict::Tie } else { label.verdict };
        Label { rater: "Ben".into(), verdict, ..label }
    });
    let both: Vec<Label> = labels().into_iter().chain(bens).collect();
    let (rulings, _) = judge(&simulated(1.0), &cases(), 0);
    let report = ReliabilityConfig::default().assess("judge", &cases(), &rulings, &both);
    let raters = report.raters.expect("two raters");
    let [pair] = &raters.pairs[..] else { panic!("one pair") };
    assert_eq!((pair.first.as_str(), pair.second.as_str()), ("Ann", "Ben"));
    let swayed = truth().values().step_by(10).filter(|v| **v != Verdict::Tie).count();
    let expected = 1.0 - swayed as f64 / CASES as f64;
    for observed in [&pair.agreement.observed, &report.labels.expect("labels").observed] {
        assert!((observed.estimate().expect("defined") - expected).abs() < 1e-12, "{observed}");
    }
}

#[test]
fn grades_have_agreement_but_no_sides() {
    let mut stream = Stream::new(4, 0);
    let grade = |stream: &mut Stream| Verdict::Grade(1 + stream.below(4) as u8);
    let truth: BTreeMap<String, Verdict> =
        (0..CASES).map(|i| (format!("{i:04}"), grade(&mut stream))).collect();
    let task = || Task::Grade { reply: "A reply.".into() };
    let cases: Vec<Case> = truth
        .keys()
        .map(|key| Case { key: key.clone(), message: format!("message of {key}"), task: task() })
        .collect();
    let label = |(case, verdict): (&String, &Verdict)| Label {
        case: case.clone(),
        rater: "Ann".into(),
        verdict: *verdict,
    };
    let labels: Vec<Label> = truth.iter().map(label).collect();
    // One grade too high, one time in five.
    let (rulings, _) = judge(&SimulatedJudge { truth, ..simulated(0.8) }, &cases, 0);
    assert_eq!(rulings.len(), CASES, "a grade has no second order");
    let bootstrap = Bootstrap { replicates: 200, ..Bootstrap::default() };
    let config = ReliabilityConfig { bootstrap, ..ReliabilityConfig::default() };
    let report = config.assess("judge", &cases, &rulings, &labels);
    assert!(report.position.is_none() && report.first_win_rate.is_none());
    assert!(report.detection.is_none() && report.length_controlled.is_none());
    let agreement = report.labels.expect("labels");
    near(&agreement.observed, 0.8);
    near(&agreement.mean_absolute_error, 0.2);
    assert_eq!(report.standing, Standing::Reliable, "{:?}", agreement.alpha_ordinal);
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
