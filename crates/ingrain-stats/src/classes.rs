//! How well several classes are told apart.

use serde::{Deserialize, Serialize};

/// Counts of predicted against true classes.
///
/// # Examples
/// ```
/// use ingrain_stats::ClassConfusion;
///
/// let confusion = ClassConfusion::count(3, [(0, 0), (0, 1), (1, 1), (2, 2)]);
/// assert_eq!(confusion.accuracy(), Some(0.75));
/// // F1 of the classes: 2/3, 2/3 and 1.
/// assert!((confusion.macro_f1().unwrap_or(0.0) - 7.0 / 9.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassConfusion {
    classes: usize,
    /// `[truth * classes + prediction]`
    counts: Vec<usize>,
}

impl ClassConfusion {
    /// Counts pairs of truth and prediction; a class beyond `classes` is left out.
    pub fn count(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![0; classes * classes];
        for (truth, prediction) in pairs {
            if truth < classes && prediction < classes {
                counts[truth * classes + prediction] += 1;
            }
        }
        Self { classes, counts }
    }

    /// How often `truth` was taken for `prediction`.
    #[must_use]
    pub fn get(&self, truth: usize, prediction: usize) -> usize {
        self.counts[truth * self.classes + prediction]
    }

    /// Observations of a class.
    #[must_use]
    pub fn support(&self, truth: usize) -> usize {
        (0..self.classes).map(|prediction| self.get(truth, prediction)).sum()
    }

    /// Share of right predictions; `None` without observations.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let total: usize = self.counts.iter().sum();
        let right: usize = (0..self.classes).map(|class| self.get(class, class)).sum();
        (total > 0).then(|| right as f64 / total as f64)
    }

    /// Harmonic mean of precision and recall of a class; `None` if it neither occurs nor is predicted.
    #[must_use]
    pub fn f1(&self, class: usize) -> Option<f64> {
        let predicted: usize = (0..self.classes).map(|truth| self.get(truth, class)).sum();
        let total = predicted + self.support(class);
        (total > 0).then(|| 2.0 * self.get(class, class) as f64 / total as f64)
    }

    /// Mean F1 of the classes that occur; one that is only ever predicted is no class of the data.
    #[must_use]
    pub fn macro_f1(&self) -> Option<f64> {
        let occurring = (0..self.classes).filter(|&class| self.support(class) > 0);
        let scores: Vec<f64> = occurring.filter_map(|class| self.f1(class)).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_worked_out_by_hand() {
        // Class 0: precision 2/3, recall 2/5; class 1: precision 1/3, recall 1/2; class 2 only predicted.
        let pairs = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, 0), (0, 2)];
        let confusion = ClassConfusion::count(3, pairs);
        assert_eq!(confusion.support(0), 5);
        let (first, second) = (2.0 * 2.0 / 8.0, 2.0 / 5.0);
        assert_eq!((confusion.f1(0), confusion.f1(1)), (Some(first), Some(second)));
        assert_eq!(confusion.f1(2), Some(0.0));
        let macro_f1 = confusion.macro_f1().expect("classes occur");
        assert!((macro_f1 - (first + second) / 2.0).abs() < 1e-12);
        assert_eq!(confusion.accuracy(), Some(3.0 / 7.0));
    }

    #[test]
    fn nothing_seen_has_no_figures() {
        let confusion = ClassConfusion::count(2, []);
        assert_eq!((confusion.accuracy(), confusion.macro_f1()), (None, None));
    }
}
