//! Revealed preferences of models whose ratings are known.

use ingrain_chat::{Sampling, Scripted};
use ingrain_constitution::PromptSet;
use ingrain_eval::{
    EvalError, NamedJudge, PreferenceModel, RevealedPreferences, STANCES, Schedule, Suite,
};
use ingrain_judge::{OnConflict, Question, Task};
use ingrain_run::Interrupt;
use ingrain_stats::{Bootstrap, BradleyTerry, POINTS_PER_NAT, Stream};

use crate::{Reader, suite_run};

const TRAITS: usize = 12;

fn schedule() -> Schedule {
    let traits = Schedule::default_traits().into_iter().take(TRAITS).collect();
    let messages = (0..300).map(|i| format!("message {i}")).collect();
    Schedule::new(traits, messages, 1_500, 3).expect("valid")
}

/// A model that takes up traits by these ratings, except where it is told to pick at random.
fn model(points: Vec<f64>) -> Scripted {
    let traits = schedule().traits().to_vec();
    Scripted::from_fn(move |request| {
        let system = &request.messages[0].content;
        let mut offered = system.lines().filter_map(|line| line.strip_prefix("- "));
        let mut index = || {
            let word = offered.next().expect("two traits");
            traits.iter().position(|name| name == word).expect("a known trait")
        };
        let (first, second) = (index(), index());
        let gap = if system.contains("at random") { 0.0 } else { points[first] - points[second] };
        let mut stream = Stream::new(request.sampling.seed, 0);
        let wins = stream.happens(1.0 / (1.0 + (-gap / POINTS_PER_NAT).exp()));
        format!("A reply that is {}.", traits[if wins { first } else { second }])
    })
}

/// Sees which of the two traits the reply names.
fn sees(question: &Question<'_>) -> Option<bool> {
    let Task::Choose { reply, .. } = &question.case.task else { return None };
    let [a, _] = question.options()?;
    Some(reply.contains(&format!(" {a}.")))
}

fn ratings(moved: f64) -> Vec<f64> {
    let mut points: Vec<f64> = (0..TRAITS).map(|i| 40.0 * (i as f64 - 5.5)).collect();
    points[0] += moved;
    points
}

#[test]
fn a_planted_shift_is_found_and_the_controls_stay_quiet() {
    let (before, after) = (model(ratings(0.0)), model(ratings(400.0)));
    let (schedule, prompts, judge) = (schedule(), PromptSet::default(), Reader(sees));
    let suite = RevealedPreferences {
        before: PreferenceModel { name: "base", model: &before },
        after: vec![PreferenceModel { name: "persona", model: &after }],
        schedule: &schedule,
        stances: STANCES.to_vec(),
        prompts: &prompts,
        sampling: Sampling::default(),
        judges: vec![NamedJudge { name: "judge", judge: &judge }],
        teacher: None,
        rating: BradleyTerry { prior: 0.5, ..BradleyTerry::default() },
        on_conflict: OnConflict::Tie,
        bootstrap: Bootstrap { replicates: 300, ..Bootstrap::default() },
    };
    let dir = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let report = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    assert!(report.limitations.iter().any(|line| line.starts_with("judge judge is of unknown")));
    let moved_first = schedule.traits()[0].as_str();
    for stance in ["feels_like", "adopt"] {
        let details = &report.details[stance];
        assert_eq!(details["retest"]["moved"], serde_json::json!([]), "{stance}");
        let persona = &details["models"]["persona"];
        let moved = persona["moved"].as_array().expect("a list");
        assert!(moved.iter().any(|name| name == moved_first), "{moved:?}");
        // 400 points up, less 400/12 by which the mean of all moves.
        let shift = &persona["shifts"]["shifts"][0]["simultaneous"];
        let (low, high) = (shift["low"].as_f64(), shift["high"].as_f64());
        assert!(low < Some(366.7) && Some(366.7) < high, "{shift}");
        assert!(persona["shifts"]["shifts"][0]["q_value"].as_f64() < Some(0.01));
        assert!(persona["ranks"]["base"]["spearman"]["estimate"].as_f64() < Some(0.8));
    }
    let random = &report.details["random"]["models"]["persona"];
    assert_eq!(random["moved"], serde_json::json!([]), "the control");
    let judging = &report.details["feels_like"]["before"]["judging"];
    assert_eq!(judging["dropped"], 0);
    assert_eq!(judging["judges"][0]["position"]["consistency"]["estimate"], 1.0);
    // Base, retest and persona under three stances.
    assert_eq!(before.requests().len() + after.requests().len(), 9 * 1_500);
    let systems = |model: &Scripted| -> Vec<_> {
        model.requests().into_iter().take(1_500).map(|r| r.messages).collect()
    };
    assert_eq!(systems(&before), systems(&after), "both models are offered the same");

    let again = suite.run(&suite_run(dir.path(), &interrupt)).expect("runs");
    assert_eq!(again, report);
    assert_eq!(before.requests().len() + after.requests().len(), 9 * 1_500, "nothing asked twice");
}

#[test]
fn replies_to_other_prompts_are_not_taken_for_these() {
    let (schedule, prompts, judge) = (schedule(), PromptSet::default(), Reader(sees));
    let model = model(ratings(0.0));
    let mut suite = RevealedPreferences {
        before: PreferenceModel { name: "base", model: &model },
        after: Vec::new(),
        schedule: &schedule,
        stances: STANCES.to_vec(),
        prompts: &prompts,
        sampling: Sampling::default(),
        judges: vec![NamedJudge { name: "judge", judge: &judge }],
        teacher: None,
        rating: BradleyTerry::default(),
        on_conflict: OnConflict::Tie,
        bootstrap: Bootstrap::default(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let interrupt = Interrupt::default();
    let run = suite_run(dir.path(), &interrupt);
    let stance = ingrain_constitution::PreferenceStance::Adopt;
    suite.ask(&run, "base", &model, stance).expect("runs");
    let traits = schedule.traits().to_vec();
    let other = Schedule::new(traits, vec!["another message".into()], 1_500, 4).expect("valid");
    suite.schedule = &other;
    let error = suite.ask(&run, "base", &model, stance);
    assert!(matches!(error, Err(EvalError::OtherPrompts { .. })));
}
