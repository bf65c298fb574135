//! How far a judge can be believed, in numbers, and whether that is far enough.

use std::collections::BTreeMap;

use ingrain_stats::{Bootstrap, LengthControlled, length_controlled_win_rate, normal};
use serde::{Deserialize, Serialize};

use crate::agreement::against_labels;
use crate::measure::tally;
use crate::{
    Agreement, Case, Decision, Detection, Gates, InterJudge, Label, Measure, OnConflict, Order,
    Ruling, Standing, Verdict, consensus, decide,
};

/// What happens when the order is turned round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Cases that were read in both orders.
    pub cases: usize,
    /// Share of them with the same verdict in both.
    pub consistency: Measure,
    /// Share of verdicts for what was shown first, ties left out; 0.5 is no bias.
    pub shown_first: Measure,
    /// p-value of no bias: among the cases whose verdict turned with the order, both directions are
    /// equally likely (McNemar's test). `None` where no verdict turned.
    pub bias_p_value: Option<f64>,
}

/// A judge in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Name of the judge.
    pub judge: String,
    /// Number of cases.
    pub cases: usize,
    /// Rulings, repetitions and unreadable ones included.
    pub rulings: usize,
    /// Unreadable rulings by reason. They are never scored.
    pub unreadable: BTreeMap<String, usize>,
    /// Their share.
    pub unreadable_rate: Measure,
    /// Share of cases that are not settled, for whatever reason.
    pub drop_rate: Measure,
    /// Share of settled cases that are ties.
    pub tie_rate: Measure,
    /// Effects of the order; `None` for grades.
    pub position: Option<Position>,
    /// Share of repetitions with the verdict of the first time; `None` without repetitions.
    pub self_agreement: Option<Measure>,
    /// Share of wins of the first option, ties counting half; `None` for grades.
    pub first_win_rate: Option<Measure>,
    /// The same at equal length; `None` unless replies are compared, or where it does not exist.
    pub length_controlled: Option<LengthControlled>,
    /// Against labels; `None` without.
    pub labels: Option<Agreement>,
    /// Errors against labels, and what follows from them; `None` without labels or for grades.
    pub detection: Option<Detection>,
    /// Raters among each other; `None` below two.
    pub raters: Option<InterJudge>,
    /// Whether a report may call it reliable.
    pub standing: Standing,
}

/// How a [`Reliability`] is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReliabilityConfig {
    /// Of every interval, over messages.
    pub bootstrap: Bootstrap,
    /// What counts as reliable.
    pub gates: Gates,
    /// What becomes of cases on which the orders disagree.
    pub on_conflict: OnConflict,
}

impl ReliabilityConfig {
    /// Looks at one judge's rulings on these cases, and at labels if there are any.
    #[must_use]
    pub fn assess(
        &self,
        judge: &str,
        cases: &[Case],
        rulings: &[Ruling],
        labels: &[Label],
    ) -> Reliability {
        let bootstrap = &self.bootstrap;
        let messages: BTreeMap<&str, &str> =
            cases.iter().map(|case| (case.key.as_str(), case.message.as_str())).collect();
        let rulings: Vec<&Ruling> = rulings
            .iter()
            .filter(|r| r.judge == judge && messages.contains_key(r.case.as_str()))
            .collect();
        let decisions = decide(cases, rulings.iter().copied(), self.on_conflict);
        let per_case = |of: &dyn Fn(Decision) -> Option<bool>| -> Vec<(&str, bool)> {
            let judged = cases.iter().zip(&decisions);
            judged.filter_map(|(case, d)| Some((case.message.as_str(), of(*d)?))).collect()
        };
        let unread: Vec<(&str, bool)> =
            rulings.iter().map(|r| (messages[r.case.as_str()], r.verdict.is_none())).collect();
        let dropped = per_case(&|decision| Some(decision.verdict().is_none()));
        let ties = per_case(&|decision| Some(decision.verdict()? == Verdict::Tie));
        let ordered = cases.iter().any(|case| case.task.has_order());
        let mut known = consensus(labels);
        known.retain(|case, _| messages.contains_key(case.as_str()));
        let (agreement, detection) = (!known.is_empty())
            .then(|| against_labels(bootstrap, cases, &decisions, &known))
            .unzip();
        Reliability {
            judge: judge.to_owned(),
            cases: cases.len(),
            rulings: rulings.len(),
            unreadable: tally(rulings.iter().filter_map(|r| r.unreadable.as_ref()).map(reason)),
            unreadable_rate: Measure::share(bootstrap, &unread),
            drop_rate: Measure::share(bootstrap, &dropped),
            tie_rate: Measure::share(bootstrap, &ties),
            position: ordered.then(|| position(bootstrap, &messages, &rulings)),
            self_agreement: self_agreement(bootstrap, &messages, &rulings),
            first_win_rate: ordered.then(|| win_rate(bootstrap, cases, &decisions)),
            length_controlled: length_controlled(bootstrap, cases, &decisions),
            standing: self.gates.standing(agreement.as_ref()),
            labels: agreement,
            detection: detection.filter(|_| ordered),
            raters: raters(bootstrap, cases, labels),
        }
    }
}

/// The reason alone, without what was written.
fn reason(unreadable: &crate::Unreadable) -> String {
    use crate::Unreadable::{CutOff, NoAnswer, NoScore, NotAllowed, NotAtTheEnd, SeveralAnswers};
    match unreadable {
        CutOff => "cut_off",
        NoAnswer => "no_answer",
        SeveralAnswers => "several_answers",
        NotAtTheEnd => "not_at_the_end",
        NotAllowed(_) => "not_allowed",
        NoScore => "no_score",
    }
    .to_owned()
}

fn position(
    bootstrap: &Bootstrap,
    messages: &BTreeMap<&str, &str>,
    rulings: &[&Ruling],
) -> Position {
    let mut by_case: BTreeMap<&str, [Option<Verdict>; 2]> = BTreeMap::new();
    let mut shown_first = Vec::new();
    for ruling in rulings.iter().filter(|ruling| ruling.repeat == 0) {
        let Some(verdict) = ruling.verdict else { continue };
        let order = usize::from(ruling.order == Order::Swapped);
        by_case.entry(&ruling.case).or_default()[order] = Some(verdict);
        if let Some(first) = verdict.is_shown_first(ruling.order) {
            shown_first.push((messages[ruling.case.as_str()], first));
        }
    }
    let both: Vec<(&str, [Verdict; 2])> = by_case
        .iter()
        .filter_map(|(case, [a, b])| Some((messages[case], [(*a)?, (*b)?])))
        .collect();
    let same: Vec<(&str, bool)> = both.iter().map(|(m, [a, b])| (*m, a == b)).collect();
    // Turned with the order: shown first both times, or second both times.
    let turned = |verdicts| both.iter().filter(|(_, found)| *found == verdicts).count() as f64;
    let to_first = turned([Verdict::First, Verdict::Second]);
    let to_second = turned([Verdict::Second, Verdict::First]);
    let total = to_first + to_second;
    Position {
        cases: both.len(),
        consistency: Measure::share(bootstrap, &same),
        shown_first: Measure::share(bootstrap, &shown_first),
        bias_p_value: (total > 0.0)
            .then(|| normal::two_sided_p((to_first - to_second) / total.sqrt())),
    }
}

fn self_agreement(
    bootstrap: &Bootstrap,
    messages: &BTreeMap<&str, &str>,
    rulings: &[&Ruling],
) -> Option<Measure> {
    let first: BTreeMap<(&str, &str), Verdict> = rulings
        .iter()
        .filter(|r| r.repeat == 0)
        .filter_map(|r| Some(((r.case.as_str(), r.order.as_str()), r.verdict?)))
        .collect();
    let again: Vec<(&str, bool)> = rulings
        .iter()
        .filter(|r| r.repeat > 0)
        .filter_map(|r| {
            let before = first.get(&(r.case.as_str(), r.order.as_str()))?;
            Some((messages[r.case.as_str()], *before == r.verdict?))
        })
        .collect();
    rulings.iter().any(|r| r.repeat > 0).then(|| Measure::share(bootstrap, &again))
}

/// Wins of the first option over the cases that are settled, ties counting half; resampled by message.
#[must_use]
pub fn win_rate(bootstrap: &Bootstrap, cases: &[Case], decisions: &[Decision]) -> Measure {
    let units: Vec<(&str, f64)> = cases
        .iter()
        .zip(decisions)
        .filter_map(|(case, d)| Some((case.message.as_str(), d.verdict()?.score())))
        .collect();
    Measure::rate(bootstrap, &units)
}

fn length_controlled(
    bootstrap: &Bootstrap,
    cases: &[Case],
    decisions: &[Decision],
) -> Option<LengthControlled> {
    let (mut won, mut longer, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for (case, decision) in cases.iter().zip(decisions) {
        if let (Some(by), Some(verdict)) = (case.task.first_longer_by(), decision.verdict()) {
            won.push(verdict.score());
            longer.push(by);
            messages.push(case.message.as_str());
        }
    }
    length_controlled_win_rate(&won, &longer, &messages, bootstrap.confidence).ok()
}

fn raters(bootstrap: &Bootstrap, cases: &[Case], labels: &[Label]) -> Option<InterJudge> {
    let mut by_rater: BTreeMap<&str, BTreeMap<&str, Verdict>> = BTreeMap::new();
    for label in labels {
        by_rater.entry(&label.rater).or_default().insert(&label.case, label.verdict);
    }
    let said: Vec<(String, Vec<Option<Verdict>>)> = by_rater
        .iter()
        .map(|(rater, labels)| {
            let verdicts = cases.iter().map(|case| labels.get(case.key.as_str()).copied());
            ((*rater).to_owned(), verdicts.collect())
        })
        .collect();
    (said.len() > 1).then(|| InterJudge::new(bootstrap, cases, &said))
}
