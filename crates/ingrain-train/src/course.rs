//! What a run remembers beside weights and moments: figures that decide how it goes on.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Statistics;

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.9;

/// The course of a run up to a step; part of its checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// What the objective carries from step to step; see
    /// [`Objective::carry`](crate::Objective::carry).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    statistics: BTreeMap<String, Exact>,
    /// Running mean of the training loss.
    smoothed_loss: Option<Exact>,
    /// The highest it has been.
    highest_loss: Option<Exact>,
    /// The best evaluation so far.
    best: Option<Best>,
    /// Evaluations since then.
    stale_evaluations: u64,
}

/// The best evaluation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Step after which it was made.
    pub step: u64,
    /// Mean loss over the held-out examples.
    #[serde(with = "exact")]
    pub loss: f64,
}

impl Course {
    /// What the objective carries from step to step.
    pub(crate) fn statistics(&self) -> Statistics {
        self.statistics.iter().map(|(name, Exact(value))| (name.clone(), *value)).collect()
    }

    /// Replaces it.
    pub(crate) fn carry(&mut self, statistics: Statistics) {
        self.statistics = statistics.into_iter().map(|(name, x)| (name, Exact(x))).collect();
    }

    /// The loss that is usual at this point: the highest that its running mean has been. `None` before
    /// the first step.
    pub(crate) fn usual_loss(&self) -> Option<f64> {
        self.highest_loss.map(|Exact(loss)| loss)
    }

    /// Takes note of a step's loss.
    pub(crate) fn note_loss(&mut self, loss: f64) {
        let smoothed = match self.smoothed_loss {
            Some(Exact(mean)) => SMOOTHING * mean + (1.0 - SMOOTHING) * loss,
            None => loss,
        };
        self.smoothed_loss = Some(Exact(smoothed));
        let highest = self.highest_loss.map_or(smoothed, |Exact(highest)| highest.max(smoothed));
        self.highest_loss = Some(Exact(highest));
    }

    /// Takes note of an evaluation; whether it is the best so far.
    pub(crate) fn note_evaluation(&mut self, step: u64, loss: f64) -> bool {
        let better = self.best.is_none_or(|best| loss < best.loss);
        if better {
            self.best = Some(Best { step, loss });
            self.stale_evaluations = 0;
        } else {
            self.stale_evaluations += 1;
        }
        better
    }

    /// The best evaluation so far.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// Whether `patience` evaluations in a row brought nothing better; never for a patience of 0.
    #[must_use]
    pub fn has_stalled(&self, patience: u64) -> bool {
        patience > 0 && self.stale_evaluations >= patience
    }
}

/// A number that is written as text, so that reading it back gives the same bits.
#[derive(Clone, Copy, PartialEq)]
struct Exact(f64);

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        exact::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        exact::deserialize(deserializer).map(Self)
    }
}

mod exact {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:?}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_survives_being_written_down_to_the_bit() {
        let mut course = Course::default();
        for loss in [0.1 + 0.2, 1e-300, 7.0 / 3.0] {
            course.note_loss(loss);
            course.note_evaluation(3, loss / 3.0);
            course.carry(BTreeMap::from([("delta".to_owned(), loss.sqrt())]));
        }
        let text = serde_json::to_string(&course).expect("JSON");
        assert_eq!(serde_json::from_str::<Course>(&text).expect("a course"), course);
        assert!(serde_json::from_str::<Course>(&text.replace("1.527", "x")).is_err());
    }

    #[test]
    fn patience_counts_evaluations_since_the_best() {
        let mut course = Course::default();
        let losses = [1.0, 0.8, 0.9, 0.8, 0.7, 0.75];
        let news: Vec<bool> = losses
            .iter()
            .zip(1..)
            .map(|(&loss, step)| course.note_evaluation(step, loss))
            .collect();
        assert_eq!(news, [true, true, false, false, true, false]);
        assert_eq!(course.best(), Some(Best { step: 5, loss: 0.7 }));
        assert!(course.has_stalled(1) && !course.has_stalled(2) && !course.has_stalled(0));
    }

    #[test]
    fn the_usual_loss_is_the_highest_running_mean() {
        let mut course = Course::default();
        assert_eq!(course.usual_loss(), None);
        for loss in [2.0, 1.0, 0.5] {
            course.note_loss(loss);
        }
        assert_eq!(course.usual_loss(), Some(2.0));
    }
}
