//! How good a classifier of several classes is at naming them.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, at_least};

/// How often each class was taken for each.
///
/// # Examples
/// ```
/// use ingrain_stats::ConfusionMatrix;
///
/// // (true class, predicted class)
/// let matrix = ConfusionMatrix::count(3, [(0, 0), (0, 1), (1, 1), (2, 2), (2, 2), (2, 0)])?;
/// assert_eq!(matrix.accuracy()?, 4.0 / 6.0);
/// assert_eq!(matrix.scores(2).recall, Some(2.0 / 3.0));
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// `counts[truth][prediction]`.
    counts: Vec<Vec<usize>>,
}

/// Scores of one class against all others; `None` where a score is 0/0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Observations of the class.
    pub support: usize,
    /// Share of the class among what was taken for it; `None` if nothing was.
    pub precision: Option<f64>,
    /// Share of the class that was recognised; `None` without observations.
    pub recall: Option<f64>,
    /// `2 TP / (2 TP + FP + FN)`; `None` if the class neither occurs nor is predicted.
    pub f1: Option<f64>,
}

impl ConfusionMatrix {
    /// Counts pairs of true and predicted class, numbered from 0.
    ///
    /// # Errors
    /// [`StatsError::OutOfRange`] for a class that is not below `classes`.
    pub fn count(
        classes: usize,
        pairs: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<Self, StatsError> {
        let mut counts = vec![vec![0; classes]; classes];
        for (truth, prediction) in pairs {
            let largest = truth.max(prediction);
            if largest >= classes {
                let range = "0 to below the number of classes";
                return Err(StatsError::OutOfRange {
                    name: "a class",
                    value: largest as f64,
                    range,
                });
            }
            counts[truth][prediction] += 1;
        }
        Ok(Self { counts })
    }

    /// `counts[truth][prediction]`.
    #[must_use]
    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Share of observations whose class was named.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without observations.
    pub fn accuracy(&self) -> Result<f64, StatsError> {
        let total: usize = self.counts.iter().flatten().sum();
        at_least("an accuracy", 1, total)?;
        let right: usize = (0..self.classes()).map(|class| self.counts[class][class]).sum();
        Ok(right as f64 / total as f64)
    }

    /// Scores of one class.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn scores(&self, class: usize) -> ClassScores {
        let right = self.counts[class][class];
        let support: usize = self.counts[class].iter().sum();
        let predicted: usize = self.counts.iter().map(|row| row[class]).sum();
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        ClassScores {
            support,
            precision: share(right, predicted),
            recall: share(right, support),
            f1: share(2 * right, support + predicted),
        }
    }

    /// Mean F1 of the classes that occur or are predicted, each counted alike.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without observations.
    ///
    /// # Source
    /// `f1_score(average="macro")` of scikit-learn, whose default leaves out the same classes.
    pub fn macro_f1(&self) -> Result<f64, StatsError> {
        let scores: Vec<f64> =
            (0..self.classes()).filter_map(|class| self.scores(class).f1).collect();
        at_least("a macro-F1", 1, scores.len())?;
        Ok(scores.iter().sum::<f64>() / scores.len() as f64)
    }

    /// Mean F1 of the classes that occur: one that is only ever predicted is no class of the data.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without observations.
    pub fn macro_f1_of_occurring(&self) -> Result<f64, StatsError> {
        let classes = (0..self.classes()).map(|class| self.scores(class));
        let scores: Vec<f64> =
            classes.filter(|scores| scores.support > 0).filter_map(|scores| scores.f1).collect();
        at_least("a macro-F1", 1, scores.len())?;
        Ok(scores.iter().sum::<f64>() / scores.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_worked_out_by_hand() {
        // Class 0: 2 of 3 found, 1 stranger; class 1: 1 of 2 found, 1 stranger; class 2: never seen.
        let pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0)];
        let matrix = ConfusionMatrix::count(3, pairs).expect("classes in range");
        assert_eq!(matrix.counts(), [vec![2, 1, 0], vec![1, 1, 0], vec![0, 0, 0]]);
        let scores = matrix.scores(0);
        assert_eq!((scores.precision, scores.recall), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        assert_eq!(matrix.scores(1).f1, Some(0.5));
        let unseen = matrix.scores(2);
        assert_eq!((unseen.precision, unseen.recall, unseen.f1), (None, None, None));
        assert_eq!(matrix.accuracy(), Ok(0.6));
        assert_eq!(matrix.macro_f1(), Ok((2.0 / 3.0 + 0.5) / 2.0));
        // Once taken for class 2, the mean over all that is named counts it, that over the data does not.
        let stray = ConfusionMatrix::count(3, [(0, 0), (0, 2)]).expect("classes in range");
        assert_eq!(stray.macro_f1(), Ok(1.0 / 3.0));
        assert_eq!(stray.macro_f1_of_occurring(), Ok(2.0 / 3.0));
    }

    #[test]
    fn no_observations_and_unknown_classes_are_named() {
        let nothing = ConfusionMatrix::count(2, []).expect("no class is out of range");
        assert!(matches!(nothing.accuracy(), Err(StatsError::TooFew { .. })));
        assert!(matches!(nothing.macro_f1(), Err(StatsError::TooFew { .. })));
        let unknown = ConfusionMatrix::count(2, [(0, 2)]);
        assert!(matches!(unknown, Err(StatsError::OutOfRange { .. })));
    }
}
