//! The seam between a study and what it compares.

use crate::ClassifierError;

/// What is to be learnt, and what is to be asked about.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Unique within a study; fit for a file's name.
    pub name: &'a str,
    /// Names of the classes.
    pub labels: &'a [String],
    /// Examples to learn from, by index into the data set.
    pub train: &'a [usize],
    /// Their classes.
    pub classes: &'a [usize],
    /// Examples to be asked about, by index.
    pub asked: &'a [usize],
}

/// A way to learn classes from the examples of one data set, which it holds or has read.
///
/// # Examples
/// A learner that knows only how often each class occurs:
///
/// ```
/// use ingrain_classifier::{ClassifierError, Learner, Task};
///
/// struct Shares;
/// impl Learner for Shares {
///     fn learn(&self, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> {
///         let count = |class| task.classes.iter().filter(|&&c| c == class).count() as f64;
///         let logits: Vec<f64> = (0..task.labels.len()).map(|c| count(c).ln()).collect();
///         Ok(vec![logits; task.asked.len()])
///     }
/// }
/// ```
pub trait Learner {
    /// Learns from the examples to learn from, and gives a logit for each class for each example asked
    /// about.
    ///
    /// # Errors
    /// Whatever stops it.
    fn learn(&self, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError>;
}
