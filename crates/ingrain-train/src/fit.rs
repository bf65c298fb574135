//! The training loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use ingrain_run::{Event, Interrupt, Observer};

use crate::accumulate::{StepName, accumulate};
use crate::checkpoint::{Checkpoint, Checkpoints, RunIdentity};
use crate::gradients::clip_factor;
use crate::log::{StepLog, StepRecord};
use crate::{
    AdamW, ExampleSize, Objective, Parameters, Plan, TrainConfig, TrainError, fingerprint,
};

/// Where a run leaves its files and whom it talks to.
#[derive(Clone, Copy)]
pub struct TrainRun<'a> {
    /// Name of the stage in events.
    pub stage: &'a str,
    /// Directory for `train.jsonl` and `checkpoints/`.
    pub dir: &'a Path,
    /// Whether to continue from checkpoints found there; otherwise they are removed.
    pub resume: bool,
    /// Told about every step.
    pub observer: &'a dyn Observer,
    /// Looked at before every forward pass.
    pub interrupt: &'a Interrupt,
}

impl std::fmt::Debug for TrainRun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainRun")
            .field("stage", &self.stage)
            .field("dir", &self.dir)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

/// What a finished run hands back.
#[derive(Clone, Debug)]
pub struct Trained<P> {
    /// The parameters after the last step, untracked.
    pub parameters: P,
    /// Steps of the whole run.
    pub steps: u64,
    /// Tokens of the whole run, padding not counted; earlier processes included.
    pub tokens: u64,
    /// Metrics of the last step taken by this process; empty if there was nothing left to do.
    pub last: BTreeMap<String, f64>,
}

/// Trains `initial` on `objective`, from the newest checkpoint in `run.dir` if there is one.
///
/// Each step costs the batch in micro-batches, adds up their gradients, divides by the weight of
/// the whole batch (so that micro-batching does not change the gradient), clips by the norm of
/// all gradients together and takes one AdamW step. `sizes` has one entry an example.
///
/// A resumed run equals an uninterrupted one to the bit.
///
/// # Errors
/// [`TrainError::Interrupted`] after a request to stop, with everything saved;
/// [`TrainError::NotFinite`] if the loss or the gradient is NaN or infinite; otherwise what the
/// settings, the objective or the disk have to say.
pub fn fit<P: Parameters>(
    objective: &dyn Objective<P>,
    sizes: Vec<ExampleSize>,
    initial: P,
    config: &TrainConfig,
    run: &TrainRun<'_>,
) -> Result<Trained<P>, TrainError> {
    config.validate()?;
    if sizes.is_empty() {
        return Err(TrainError::NoExamples { stage: run.stage.to_owned() });
    }
    let plan = Plan::new(sizes, config.batching());
    let steps_per_epoch = plan.steps_per_epoch() as u64;
    let total = steps_per_epoch * config.epochs;
    let checkpoints =
        Checkpoints::open(run.dir.join("checkpoints"), identity(config, &plan, objective))?;
    let mut state = start(initial, config, &checkpoints, run)?;
    let mut saved_step = state.step;
    let mut log = StepLog::open(&run.dir.join("train.jsonl"), state.step)?;
    let mut last = BTreeMap::new();
    let (first_step, started) = (state.step, Instant::now());
    let first_tokens = state.tokens;
    let (stage, unit) = (run.stage.to_owned(), "steps".to_owned());
    run.observer.on_event(&Event::StageStarted { stage, total: Some(total), unit });

    while state.step < total {
        let epoch = state.step / steps_per_epoch;
        for batch in plan.epoch(epoch).iter().skip((state.step % steps_per_epoch) as usize) {
            let step = state.step + 1;
            let step_started = Instant::now();
            let name = StepName { objective, batch, step, saved_step, checkpoints: &checkpoints };
            let Some(summed) =
                accumulate(batch, &state.parameters, &name, config.parallel_passes, run.interrupt)?
            else {
                if state.step > saved_step {
                    checkpoints.save(&state)?;
                }
                let dir = checkpoints.dir().to_owned();
                let (done, unit) = (state.step, "steps");
                return Err(TrainError::Interrupted { done, total, unit, dir });
            };
            let mean = 1.0 / summed.weight;
            let norm = summed.gradients.norm()? * mean;
            name.check_finite("gradient norm", norm)?;
            let gradients = summed.gradients.scaled(mean * clip_factor(norm, config.max_grad_norm));
            let learning_rate = config.schedule().learning_rate(step, total);
            state.parameters = state.optimizer.step(&state.parameters, gradients, learning_rate);
            state.step = step;
            state.tokens += summed.tokens;

            last = summed.metrics.means();
            last.insert("loss".to_owned(), summed.loss * mean);
            last.insert("learning_rate".to_owned(), learning_rate);
            last.insert("grad_norm".to_owned(), norm);
            let seconds = step_started.elapsed().as_secs_f64();
            last.insert("tokens_per_sec".to_owned(), summed.tokens as f64 / seconds);
            let (tokens, epoch) = (state.tokens, epoch + 1);
            log.append(&StepRecord { step, epoch, tokens, metrics: last.clone() })?;
            let (stage, metrics) = (run.stage.to_owned(), last.clone());
            run.observer.on_event(&Event::Step { stage, step, total, metrics });
            if step % config.checkpoint_every_steps == 0 || step == total {
                checkpoints.save(&state)?;
                saved_step = step;
            }
        }
    }
    run.observer.on_event(&Event::StageFinished {
        stage: run.stage.to_owned(),
        done: total,
        tokens: state.tokens - first_tokens,
        seconds: started.elapsed().as_secs_f64(),
        reused: first_step == total,
    });
    let Checkpoint { parameters, tokens, .. } = state;
    Ok(Trained { parameters, steps: total, tokens, last })
}

/// The newest checkpoint, or the beginning.
fn start<P: Parameters>(
    initial: P,
    config: &TrainConfig,
    checkpoints: &Checkpoints,
    run: &TrainRun<'_>,
) -> Result<Checkpoint<P>, TrainError> {
    let beginning = |parameters| Checkpoint {
        step: 0,
        tokens: 0,
        parameters,
        optimizer: AdamW::new(config.adamw),
    };
    if !run.resume {
        checkpoints.clear()?;
        return Ok(beginning(initial));
    }
    let (found, mut notes) = checkpoints.latest(&initial, config.adamw)?;
    if let Some(checkpoint) = &found {
        notes.push(format!("continuing after step {}", checkpoint.step));
    }
    for message in notes {
        run.observer.on_event(&Event::Note { stage: run.stage.to_owned(), message });
    }
    Ok(found.unwrap_or_else(|| beginning(initial)))
}

/// Settings that change the result. How often to save does not, nor what runs side by side.
fn identity<P>(config: &TrainConfig, plan: &Plan, objective: &dyn Objective<P>) -> RunIdentity {
    let settings = TrainConfig { checkpoint_every_steps: 1, parallel_passes: 1, ..config.clone() };
    RunIdentity {
        seed: config.seed,
        plan: fingerprint([plan.description()]),
        config: fingerprint([format!("{settings:?}"), objective.fingerprint()]),
    }
}
