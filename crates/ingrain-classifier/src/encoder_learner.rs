//! An encoder with a head as one of the learners of a study.

use std::path::{Path, PathBuf};

use ingrain_run::{Interrupt, Observer};
use ingrain_train::fingerprint;

use crate::{ClassifierError, EncodedTexts, Learner, PersonaClassifier, Task, Training};

/// Trains a [`PersonaClassifier`] for each task.
///
/// A task leaves its checkpoints in a folder of its own below `dir`, named by everything that decides the
/// result: a study that was stopped goes on where it was, and other data start anew. The folder holds
/// three times the weights that learn, and can be removed when the study is done.
#[derive(Clone, Copy)]
pub struct EncoderLearner<'a> {
    /// The texts of the data set.
    pub texts: &'a EncodedTexts<'a>,
    /// Where checkpoints go.
    pub dir: &'a Path,
    /// Told about every step.
    pub observer: &'a dyn Observer,
    /// Looked at before every pass.
    pub interrupt: &'a Interrupt,
}

impl EncoderLearner<'_> {
    /// The classifier of a task; read from its last checkpoint if it was trained before.
    ///
    /// # Errors
    /// As [`PersonaClassifier::train`].
    pub fn classifier(&self, task: &Task<'_>) -> Result<PersonaClassifier, ClassifierError> {
        let dir = self.task_dir(task);
        let training = Training { dir: &dir, observer: self.observer, interrupt: self.interrupt };
        PersonaClassifier::train(self.texts, task.train, task.classes, task.labels, &training)
    }

    fn task_dir(&self, task: &Task<'_>) -> PathBuf {
        let named = [
            self.texts.fingerprint.clone(),
            format!(
                "{:?} {:?} {:?} {:?}",
                self.texts.config, task.train, task.classes, task.labels
            ),
        ];
        self.dir.join(format!("{}-{}", task.name, &fingerprint(named)[..12]))
    }
}

impl Learner for EncoderLearner<'_> {
    fn learn(&self, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> {
        self.classifier(task)?.logits_of(self.texts, task.asked)
    }
}
