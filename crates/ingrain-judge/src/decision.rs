//! From rulings in both orders to one decision a case, and from several judges to one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Case, JudgeError, Order, Ruling, Verdict};

/// What becomes of a case on which the judge changes its mind with the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// A tie: the judge cannot tell them apart.
    #[default]
    Tie,
    /// Dropped, and counted as such (as in the released evaluation, which did not count).
    Drop,
    /// The verdict that the judge was surer of; a tie where it gives no probabilities or equal ones. For a
    /// judge by log-probabilities: what is left of its opinion once a liking for one place cancels out.
    Likelier,
}

/// What a judge decides about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A verdict.
    Settled(Verdict),
    /// The orders disagree and conflicts are dropped.
    Conflict,
    /// At least one order could not be read.
    Unreadable,
    /// At least one order was never answered.
    Missing,
}

impl Decision {
    /// The verdict, if there is one.
    #[must_use]
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Settled(verdict) => Some(verdict),
            _ => None,
        }
    }
}

/// One judge's decision on each case, in their order. Repetitions are not looked at.
#[must_use]
pub fn decide<'r>(
    cases: &[Case],
    rulings: impl IntoIterator<Item = &'r Ruling>,
    on_conflict: OnConflict,
) -> Vec<Decision> {
    let mut found: BTreeMap<(&str, bool), &Ruling> = BTreeMap::new();
    for ruling in rulings.into_iter().filter(|ruling| ruling.repeat == 0) {
        found.entry((ruling.case.as_str(), ruling.order == Order::Swapped)).or_insert(ruling);
    }
    let of_case = |case: &Case| {
        let orders = if case.task.has_order() { &[false, true][..] } else { &[false] };
        let mut verdicts = Vec::new();
        for &swapped in orders {
            let ruling = found.get(&(case.key.as_str(), swapped));
            match ruling.map(|ruling| (ruling.verdict, ruling.probability)) {
                None => return Decision::Missing,
                Some((None, _)) => return Decision::Unreadable,
                Some((Some(verdict), probability)) => verdicts.push((verdict, probability)),
            }
        }
        let first = verdicts[0].0;
        match (verdicts.iter().all(|(verdict, _)| *verdict == first), on_conflict) {
            (true, _) => Decision::Settled(first),
            (false, OnConflict::Tie) => Decision::Settled(Verdict::Tie),
            (false, OnConflict::Drop) => Decision::Conflict,
            (false, OnConflict::Likelier) => Decision::Settled(likelier(&verdicts)),
        }
    };
    cases.iter().map(of_case).collect()
}

/// Of two verdicts the one with the greater probability.
fn likelier(verdicts: &[(Verdict, Option<f64>)]) -> Verdict {
    match verdicts {
        [(a, Some(p)), (_, Some(q))] if p > q => *a,
        [(_, Some(p)), (b, Some(q))] if p < q => *b,
        _ => Verdict::Tie,
    }
}

/// How several judges become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Panel {
    /// What more than half of those decide who decided; otherwise a tie. For options.
    Vote,
    /// The middle verdict, the lower of two middle ones. For grades.
    Median,
}

impl Panel {
    /// The panel's decision on each case, from those of its members on the same cases.
    ///
    /// # Errors
    /// [`JudgeError::EmptyPanel`] without members.
    pub fn decide(self, members: &[Vec<Decision>]) -> Result<Vec<Decision>, JudgeError> {
        let cases = members.iter().map(Vec::len).min().ok_or(JudgeError::EmptyPanel)?;
        let of_case = |case: usize| {
            let verdicts = members.iter().filter_map(|decisions| decisions[case].verdict());
            self.settle(verdicts.collect()).map_or(members[0][case], Decision::Settled)
        };
        Ok((0..cases).map(of_case).collect())
    }

    /// One verdict of several; `None` of none.
    pub(crate) fn settle(self, mut verdicts: Vec<Verdict>) -> Option<Verdict> {
        verdicts.sort_by(|a, b| a.score().total_cmp(&b.score()));
        let middle = *verdicts.get(verdicts.len().saturating_sub(1) / 2)?;
        let votes = verdicts.iter().filter(|verdict| **verdict == middle).count();
        Some(match self {
            Self::Vote if votes * 2 <= verdicts.len() => Verdict::Tie,
            Self::Vote | Self::Median => middle,
        })
    }
}

/// What a reader of a report must know about who judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// The judge wrote the replies that were imitated.
    JudgeIsTeacher(String),
    /// The judge is the model under judgement.
    JudgeIsModel(String),
    /// There is a single judge.
    SingleJudge(String),
}

impl std::fmt::Display for Bias {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::JudgeIsTeacher(name) => write!(
                f,
                "judge {name} is also the teacher: it judges how well its own manner was imitated; \
                 add a judge of another family"
            ),
            Self::JudgeIsModel(name) => {
                write!(f, "judge {name} is the model under judgement; take another judge")
            }
            Self::SingleJudge(name) => {
                write!(f, "{name} is the only judge; agreement between judges is unknown")
            }
        }
    }
}

/// What to warn of: judges that are the teacher or one of the models under judgement, or a single judge.
///
/// Names are compared without owner, case and file ending: `Org/Model-7B.gguf` is `model-7b`.
#[must_use]
pub fn biases(judges: &[&str], teacher: Option<&str>, models: &[&str]) -> Vec<Bias> {
    let bare = |name: &str| {
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
        let name = name.split('@').next().unwrap_or_default().to_owned();
        name.strip_suffix(".gguf").map_or(name.clone(), str::to_owned)
    };
    let is = |judge: &str, others: &[&str]| others.iter().any(|other| bare(other) == bare(judge));
    let mut found = Vec::new();
    for judge in judges {
        if is(judge, teacher.as_slice()) {
            found.push(Bias::JudgeIsTeacher((*judge).to_owned()));
        }
        if is(judge, models) {
            found.push(Bias::JudgeIsModel((*judge).to_owned()));
        }
    }
    if let [only] = judges {
        found.push(Bias::SingleJudge((*only).to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surer_of_two_orders_decides_where_they_disagree() {
        let (first, second) = (Verdict::First, Verdict::Second);
        assert_eq!(likelier(&[(first, Some(0.9)), (second, Some(0.6))]), first);
        assert_eq!(likelier(&[(first, Some(0.6)), (second, Some(0.9))]), second);
        assert_eq!(likelier(&[(first, Some(0.6)), (second, Some(0.6))]), Verdict::Tie);
        assert_eq!(likelier(&[(first, None), (second, Some(0.9))]), Verdict::Tie);
    }

    #[test]
    fn a_panel_votes_among_those_who_decided() {
        let settled = Decision::Settled;
        let members = [
            vec![settled(Verdict::First), settled(Verdict::First), Decision::Unreadable],
            vec![settled(Verdict::First), settled(Verdict::Second), Decision::Unreadable],
            vec![settled(Verdict::Second), Decision::Conflict, Decision::Unreadable],
        ];
        let decided = Panel::Vote.decide(&members).expect("members");
        assert_eq!(decided, [settled(Verdict::First), settled(Verdict::Tie), Decision::Unreadable]);
        assert!(matches!(Panel::Vote.decide(&[]), Err(JudgeError::EmptyPanel)));
    }

    #[test]
    fn the_median_of_grades_is_a_grade_that_somebody_gave() {
        let grade = |g| vec![Decision::Settled(Verdict::Grade(g))];
        let members = [grade(5), grade(1), grade(2)];
        assert_eq!(Panel::Median.decide(&members).expect("members"), grade(2));
        assert_eq!(Panel::Median.decide(&members[..2]).expect("members"), grade(1));
    }

    #[test]
    fn a_judge_that_taught_or_is_judged_is_named_however_it_is_spelt() {
        let judges = ["zai/GLM-4.5-Air", "Qwen3-8B"];
        let found = biases(&judges, Some("glm-4.5-air"), &["other", "x/qwen3-8b.gguf"]);
        let [teacher, model] = judges.map(str::to_owned);
        assert_eq!(found, [Bias::JudgeIsTeacher(teacher), Bias::JudgeIsModel(model)]);
        assert_eq!(biases(&["a", "b"], Some("c"), &[]), []);
        assert!(matches!(biases(&["a"], None, &[])[..], [Bias::SingleJudge(_)]));
    }
}
