//! What is left when labels mean nothing: a check of the study itself.

use ingrain_stats::Stream;

use crate::{ClassifierError, Learner, Task};

/// Any learner, taught with labels in a random order. Whatever it scores above chance, the study leaks.
#[derive(Clone, Copy)]
pub struct ShuffledLabels<L> {
    /// The learner.
    pub learner: L,
    /// Seed of the order.
    pub seed: u64,
}

impl<L: Learner> Learner for ShuffledLabels<L> {
    fn learn(&self, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let mut classes = task.classes.to_vec();
        Stream::new(self.seed, 0).shuffle(&mut classes);
        let name = format!("{}-shuffled", task.name);
        self.learner.learn(&Task { name: &name, classes: &classes, ..*task })
    }
}
