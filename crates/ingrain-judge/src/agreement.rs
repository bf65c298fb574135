//! How far verdicts agree: with labels, and between judges.

use std::collections::BTreeMap;

use ingrain_stats::{
    Bootstrap, Confusion, Level, StatsError, Weights, krippendorff_alpha, mean_absolute_error,
    spearman, weighted_kappa,
};
use serde::{Deserialize, Serialize};

use crate::{Case, Decision, Measure, Verdict};

/// How far two raters agree on the cases that both decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Cases that both decided.
    pub cases: usize,
    /// Share on which both say the same.
    pub observed: Measure,
    /// Cohen's kappa.
    pub kappa: Measure,
    /// Kappa with linear weights.
    pub kappa_linear: Measure,
    /// Kappa with quadratic weights.
    pub kappa_quadratic: Measure,
    /// Krippendorff's alpha of both, as names.
    pub alpha_nominal: Measure,
    /// The same as an order: second, tie, first; or grades.
    pub alpha_ordinal: Measure,
    /// The same as distances.
    pub alpha_interval: Measure,
    /// Rank correlation of the scores.
    pub spearman: Measure,
    /// Mean distance of the scores: 1 from first to second, or one grade.
    pub mean_absolute_error: Measure,
}

/// What two raters said of a case, and the message that it belongs to.
type Both<'a> = (&'a str, (Verdict, Verdict));

/// Of verdicts of two raters on the same cases.
type Statistic<'a> = dyn Fn(&[Verdict], &[Verdict]) -> Result<f64, StatsError> + Sync + 'a;

impl Agreement {
    fn new(bootstrap: &Bootstrap, units: &[Both<'_>]) -> Self {
        let of = |statistic: &Statistic<'_>| {
            Measure::of(bootstrap, units, |drawn| {
                let (a, b): (Vec<_>, Vec<_>) = drawn.iter().map(|unit| **unit).unzip();
                statistic(&a, &b)
            })
        };
        let kappa = |weights| of(&move |a, b| weighted_kappa(&numbers(a), &numbers(b), weights));
        let alpha = |level| of(&move |a, b| two_rater_alpha(a, b, level));
        let same: Vec<_> = units.iter().map(|(message, (a, b))| (*message, a == b)).collect();
        Self {
            cases: units.len(),
            observed: Measure::share(bootstrap, &same),
            kappa: kappa(Weights::Equal),
            kappa_linear: kappa(Weights::Linear),
            kappa_quadratic: kappa(Weights::Quadratic),
            alpha_nominal: alpha(Level::Nominal),
            alpha_ordinal: alpha(Level::Ordinal),
            alpha_interval: alpha(Level::Interval),
            spearman: of(&|a, b| spearman(&scores(a), &scores(b))),
            mean_absolute_error: of(&|a, b| mean_absolute_error(&scores(a), &scores(b))),
        }
    }
}

/// How often a judge is right about either side, against labels; ties on either side are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Share of "first" among labels "first".
    pub sensitivity: Measure,
    /// Share of "second" among labels "second".
    pub specificity: Measure,
    /// How often the judge decides for the first option, corrected for its errors on the labels.
    pub corrected_first_rate: Measure,
}

/// Compares decisions with one label a case.
pub(crate) fn against_labels(
    bootstrap: &Bootstrap,
    cases: &[Case],
    decisions: &[Decision],
    labels: &BTreeMap<String, Verdict>,
) -> (Agreement, Detection) {
    let units: Vec<Both<'_>> = cases
        .iter()
        .zip(decisions)
        .filter_map(|(case, decision)| {
            let label = *labels.get(&case.key)?;
            Some((case.message.as_str(), (decision.verdict()?, label)))
        })
        .collect();
    let confidence = bootstrap.confidence;
    let confusion = confusion(units.iter().map(|unit| unit.1));
    let (firsts, seconds) = sides(decisions);
    let corrected = confusion.corrected_rate(firsts, firsts + seconds, confidence);
    let detection = Detection {
        sensitivity: Measure::from(confusion.sensitivity(confidence)),
        specificity: Measure::from(confusion.specificity(confidence)),
        corrected_first_rate: Measure::from(corrected),
    };
    (Agreement::new(bootstrap, &units), detection)
}

/// How far two of several judges (or raters) agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgePair {
    /// Name of the one.
    pub first: String,
    /// Name of the other.
    pub second: String,
    /// How far both agree.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// How far judges (or raters) agree with each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterJudge {
    /// Krippendorff's nominal alpha of all of them.
    pub alpha_nominal: Measure,
    /// The same, ordinal.
    pub alpha_ordinal: Measure,
    /// The same, of distances.
    pub alpha_interval: Measure,
    /// Each two of them.
    pub pairs: Vec<JudgePair>,
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
        let mut pairs = Vec::new();
        for (i, (first, a)) in judges.iter().enumerate() {
            for (second, b) in &judges[i + 1..] {
                let both = cases.iter().zip(a.iter().zip(b));
                let both: Vec<Both<'_>> = both
                    .filter_map(|(case, (a, b))| Some((case.message.as_str(), ((*a)?, (*b)?))))
                    .collect();
                let agreement = Agreement::new(bootstrap, &both);
                pairs.push(JudgePair { first: first.clone(), second: second.clone(), agreement });
            }
        }
        Self {
            alpha_nominal: alpha(Level::Nominal),
            alpha_ordinal: alpha(Level::Ordinal),
            alpha_interval: alpha(Level::Interval),
            pairs,
        }
    }
}

/// Verdicts as categories in their order, from 0.
fn category(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Second => 0,
        Verdict::Tie => 1,
        Verdict::First => 2,
        Verdict::Grade(grade) => usize::from(grade),
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
