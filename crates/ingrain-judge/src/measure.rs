//! A statistic over judged cases with its bootstrap interval, or why it does not exist.

use std::collections::BTreeMap;

use ingrain_stats::{Bootstrap, Clusters, Interval, StatsError};
use serde::{Deserialize, Serialize};

/// A statistic with its interval, or the reason why the data do not define it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measure {
    /// It exists.
    Value(Interval),
    /// It does not.
    Undefined {
        /// Why.
        undefined: String,
    },
}

impl Measure {
    /// The estimate, if it exists.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        match self {
            Self::Value(interval) => Some(interval.estimate),
            Self::Undefined { .. } => None,
        }
    }

    /// `statistic` of `units`, resampled by the message that each belongs to.
    pub(crate) fn of<U: Sync>(
        bootstrap: &Bootstrap,
        units: &[(&str, U)],
        statistic: impl Fn(&[&U]) -> Result<f64, StatsError> + Sync,
    ) -> Self {
        let all: Vec<&U> = units.iter().map(|(_, unit)| unit).collect();
        if let Err(error) = statistic(&all) {
            return Self::Undefined { undefined: error.to_string() };
        }
        let messages: Vec<&str> = units.iter().map(|(message, _)| *message).collect();
        let clusters = Clusters::new(&messages);
        Self::from(bootstrap.percentile(clusters.len(), |draw| {
            let drawn: Vec<&U> = clusters.expand(draw).into_iter().map(|i| &units[i].1).collect();
            statistic(&drawn).unwrap_or(f64::NAN)
        }))
    }

    /// The share of units that are true, resampled by message.
    pub(crate) fn share(bootstrap: &Bootstrap, units: &[(&str, bool)]) -> Self {
        let scores: Vec<(&str, f64)> =
            units.iter().map(|(message, is)| (*message, f64::from(u8::from(*is)))).collect();
        Self::rate(bootstrap, &scores)
    }

    /// The mean of scores in 0..=1, resampled by message. Where all are 0 or all 1, resampling sees no
    /// uncertainty: the interval is Wilson's for as many trials as there are messages.
    pub(crate) fn rate(bootstrap: &Bootstrap, units: &[(&str, f64)]) -> Self {
        let all = |score: f64| !units.is_empty() && units.iter().all(|unit| unit.1 == score);
        if all(0.0) || all(1.0) {
            let messages: Vec<&str> = units.iter().map(|unit| unit.0).collect();
            let trials = Clusters::new(&messages).len();
            let successes = if all(1.0) { trials } else { 0 };
            return Interval::wilson(successes, trials, bootstrap.confidence).into();
        }
        Self::of(bootstrap, units, |drawn| {
            let (what, unit) = ("a share", "observations");
            if drawn.is_empty() {
                return Err(StatsError::TooFew { what, unit, needed: 1, found: 0 });
            }
            Ok(drawn.iter().copied().sum::<f64>() / drawn.len() as f64)
        })
    }
}

impl From<Result<Interval, StatsError>> for Measure {
    fn from(result: Result<Interval, StatsError>) -> Self {
        match result {
            Ok(interval) => Self::Value(interval),
            Err(error) => Self::Undefined { undefined: error.to_string() },
        }
    }
}

/// An interval as a report writes it: `0.83 (0.79 to 0.87)`.
impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(Interval { estimate, low, high, .. }) => {
                write!(f, "{estimate:.2} ({low:.2} to {high:.2})")
            }
            Self::Undefined { undefined } => write!(f, "undefined: {undefined}"),
        }
    }
}

/// Counts by name.
pub(crate) fn tally(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}
