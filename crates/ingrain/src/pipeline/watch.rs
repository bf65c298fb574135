//! Where the student's replies lie along a persona direction, read while adapters train.

use std::collections::HashSet;
use std::ops::Range;

use ingrain_data::PreferencePair;
use ingrain_lm::{Adapter, CausalLm};
use ingrain_run::read_jsonl;
use ingrain_steering::{Contrast, Monitored, ProjectionMonitor};
use ingrain_train::{ExampleSize, Objective, TrainConfig, TrainError, TrainRun, Trained, fit};

use super::Context;
use crate::PipelineError;

/// What is read: texts, and a monitor whose marks are where the untrained model has them without (0) and
/// with (1) the constitution in its system prompt.
pub(super) struct Watch {
    monitor: ProjectionMonitor,
    texts: Vec<(Vec<u32>, Range<usize>)>,
    every_steps: u64,
}

impl Context<'_> {
    /// The recipe's monitor, if it names a vector.
    pub(super) fn watch(&self) -> Result<Option<Watch>, PipelineError> {
        let Some(vector) = &self.direction else { return Ok(None) };
        let contrasts = self.watched_replies()?;
        // In the arithmetic of training, so that an adapter that changes nothing lies at 0.
        let (untrained, _) = self.trainee(None)?;
        let monitor = ProjectionMonitor::between(vector.clone(), &untrained, &contrasts)?;
        let texts = contrasts.iter().map(|contrast| contrast.text(false)).collect();
        Ok(Some(Watch { monitor, texts, every_steps: self.recipe.monitor.every_steps }))
    }

    /// The student's reply to each of the first questions, where it fits the context.
    fn watched_replies(&self) -> Result<Vec<Contrast>, PipelineError> {
        let pairs: Vec<PreferencePair> = read_jsonl(self.run.file("pairs.jsonl"))?;
        let (system, context) = (self.teacher_system()?, self.model.model.config().max_position);
        let mut asked = HashSet::new();
        let mut contrasts = Vec::new();
        for pair in pairs.iter().filter(|pair| asked.insert(pair.question())) {
            let (question, reply) = (pair.question(), pair.rejected_text());
            let contrast = Contrast::new(&self.model, &system, question, reply)?;
            if contrast.text(true).0.len() <= context && !contrast.continuation.is_empty() {
                contrasts.push(contrast);
            }
            if contrasts.len() == self.recipe.monitor.replies {
                break;
            }
        }
        Ok(contrasts)
    }
}

/// The training loop, with readings if there is something to read. `model` is what the adapter belongs to.
pub(super) fn training_loop<'a>(
    watch: Option<&'a Watch>,
    model: &'a CausalLm,
    config: &'a TrainConfig,
    run: &'a TrainRun<'a>,
) -> impl FnOnce(
    &dyn Objective<Adapter>,
    Vec<ExampleSize>,
    Adapter,
) -> Result<Trained<Adapter>, TrainError> {
    move |objective, sizes, initial| match watch {
        None => fit(objective, sizes, initial, config, run),
        Some(Watch { monitor, texts, every_steps }) => {
            let every_steps = *every_steps;
            let watched = Monitored { objective, monitor, model, texts, every_steps };
            fit(&watched, sizes, initial, config, run)
        }
    }
}
