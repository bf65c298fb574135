//! How far verdicts agree: with labels, and between judges.

use std::collections::BTreeMap;

use ingrain_stats::{
    Bootstrap, Confusion, Level, StatsError, Weights, cohen_kappa, krippendorff_alpha,
    mean_absolute_error, spearman, weighted_kappa,
};
use serde::{Deserialize, Serialize};

use crate::{Case, Decision, Measure, Verdict};

/// A judge's decisions against labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelAgreement {
    /// Cases with both a decision and a label.
    pub cases: usize,
    /// Share on which both are the same.
    pub accuracy: Measure,
    /// Cohen's kappa.
    pub kappa: Measure,
    /// Kappa with linear weights.
    pub kappa_linear: Measure,
    /// Kappa with quadratic weights.
    pub kappa_quadratic: Measure,
    /// Krippendorff's alpha of judge and labels, as names.
    pub alpha_nominal: Measure,
    /// The same as an order: second, tie, first; or grades.
    pub alpha_ordinal: Measure,
    /// The same as distances.
    pub alpha_interval: Measure,
    /// Rank correlation of the scores.
    pub spearman: Measure,
    /// Mean distance of the scores: 1 from first to second, or one grade.
    pub mean_absolute_error: Measure,
    /// Share of "first" among labels "first"; ties on either side are left out.
    pub sensitivity: Measure,
    /// Share of "second" among labels "second"; ties on either side are left out.
    pub specificity: Measure,
    /// How often the judge decides for the first option, ties left out, corrected for its errors
    /// on the labels.
    pub corrected_first_rate: Measure,
}

/// Of verdicts and labels on the same cases.
type Statistic<'a> = dyn Fn(&[Verdict], &[Verdict]) -> Result<f64, StatsError> + Sync + 'a;

/// Verdicts as categories in their order, from 0.
fn category(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Second => 0,
        Verdict::Tie => 1,
        Verdict::First => 2,
        Verdict::Grade(grade) => usize::from(grade),
    }
}

impl LabelAgreement {
    /// Compares decisions with one label a case.
    #[must_use]
    pub fn new(
        bootstrap: &Bootstrap,
        cases: &[Case],
        decisions: &[Decision],
        labels: &BTreeMap<String, Verdict>,
    ) -> Self {
        let units: Vec<(&str, (Verdict, Verdict))> = cases
            .iter()
            .zip(decisions)
            .filter_map(|(case, decision)| {
                let label = *labels.get(&case.key)?;
                Some((case.message.as_str(), (decision.verdict()?, label)))
            })
            .collect();
        let of = |statistic: &Statistic<'_>| {
            Measure::of(bootstrap, &units, |drawn| {
                let (judged, labelled): (Vec<_>, Vec<_>) = drawn.iter().map(|u| **u).unzip();
                statistic(&judged, &labelled)
            })
        };
        let kappa = |weights| of(&move |a, b| weighted_kappa(&numbers(a), &numbers(b), weights));
        let alpha = |level| of(&move |a, b| two_rater_alpha(a, b, level));
        let same: Vec<_> = units.iter().map(|(m, (a, b))| (*m, a == b)).collect();
        let confidence = bootstrap.confidence;
        let confusion = confusion(units.iter().map(|unit| unit.1));
        let (firsts, seconds) = sides(decisions);
        Self {
            cases: units.len(),
            accuracy: Measure::share(bootstrap, &same),
            kappa: kappa(Weights::Equal),
            kappa_linear: kappa(Weights::Linear),
            kappa_quadratic: kappa(Weights::Quadratic),
            alpha_nominal: alpha(Level::Nominal),
            alpha_ordinal: alpha(Level::Ordinal),
            alpha_interval: alpha(Level::Interval),
            spearman: of(&|a, b| spearman(&scores(a), &scores(b))),
            mean_absolute_error: of(&|a, b| mean_absolute_error(&scores(a), &scores(b))),
            sensitivity: Measure::from(confusion.sensitivity(confidence)),
            specificity: Measure::from(confusion.specificity(confidence)),
            corrected_first_rate: Measure::from(confusion.corrected_rate(
                firsts,
                firsts + seconds,
                confidence,
            )),
        }
    }
}

/// How far judges (or raters) agree with each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterJudge {
    /// Krippendorff's nominal alpha of all of them.
    pub alpha_nominal: Measure,
    /// The same, ordinal.
    pub alpha_ordinal: Measure,
    /// Cohen's kappa of each two, by name.
    pub kappas: Vec<(String, String, Measure)>,
}

impl InterJudge {
    /// Compares judges on the same cases, `None` where one said nothing.
    #[must_use]
    pub fn new(
        bootstrap: &Bootstrap,
        cases: &[Case],
        judges: &[(String, Vec<Option<Verdict>>)],
    ) -> Self {
        let units: Vec<(&str, Vec<Option<f64>>)> = cases
            .iter()
            .enumerate()
            .map(|(i, case)| {
                let said = |(_, verdicts): &(String, Vec<Option<Verdict>>)| {
                    verdicts.get(i).copied().flatten().map(Verdict::score)
                };
                (case.message.as_str(), judges.iter().map(said).collect())
            })
            .collect();
        let alpha =
            |level| Measure::of(bootstrap, &units, |drawn| krippendorff_alpha(drawn, level));
        let mut kappas = Vec::new();
        for (i, (first, a)) in judges.iter().enumerate() {
            for (second, b) in &judges[i + 1..] {
                let both: Vec<(&str, (usize, usize))> = cases
                    .iter()
                    .zip(a.iter().zip(b))
                    .filter_map(|(case, (a, b))| {
                        Some((case.message.as_str(), (category((*a)?), category((*b)?))))
                    })
                    .collect();
                let kappa = Measure::of(bootstrap, &both, |drawn| {
                    let (a, b): (Vec<_>, Vec<_>) = drawn.iter().map(|unit| **unit).unzip();
                    cohen_kappa(&a, &b)
                });
                kappas.push((first.clone(), second.clone(), kappa));
            }
        }
        let (alpha_nominal, alpha_ordinal) = (alpha(Level::Nominal), alpha(Level::Ordinal));
        Self { alpha_nominal, alpha_ordinal, kappas }
    }
}

fn numbers(verdicts: &[Verdict]) -> Vec<usize> {
    verdicts.iter().map(|verdict| category(*verdict)).collect()
}

fn scores(verdicts: &[Verdict]) -> Vec<f64> {
    verdicts.iter().map(|verdict| verdict.score()).collect()
}

fn two_rater_alpha(a: &[Verdict], b: &[Verdict], level: Level) -> Result<f64, StatsError> {
    let units: Vec<[Option<f64>; 2]> =
        a.iter().zip(b).map(|(a, b)| [Some(a.score()), Some(b.score())]).collect();
    krippendorff_alpha(&units, level)
}

/// First against second; ties and grades are left out.
fn confusion(pairs: impl Iterator<Item = (Verdict, Verdict)>) -> Confusion {
    let side = |verdict| match verdict {
        Verdict::First => Some(true),
        Verdict::Second => Some(false),
        Verdict::Tie | Verdict::Grade(_) => None,
    };
    Confusion::count(pairs.filter_map(|(judged, label)| Some((side(label)?, side(judged)?))))
}

fn sides(decisions: &[Decision]) -> (usize, usize) {
    let count = |wanted| decisions.iter().filter(|d| d.verdict() == Some(wanted)).count();
    (count(Verdict::First), count(Verdict::Second))
}
