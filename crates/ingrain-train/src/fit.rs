//! The training loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use ingrain_run::{Event, Interrupt, Observer, rss_bytes};

use crate::accumulate::{StepName, accumulate};
use crate::checkpoint::{Checkpoint, Checkpoints, RunIdentity};
use crate::evaluate::{HeldOut, split};
use crate::gradients::clip_factor;
use crate::log::Journal;
use crate::{
    AdamW, Best, Course, ExampleSize, Keep, Objective, Parameters, Plan, TrainConfig, TrainError,
    fingerprint,
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
    /// The parameters after the last step, or the best ones if the settings say so; untracked.
    pub parameters: P,
    /// Steps of the whole run; fewer than planned if it stopped early.
    pub steps: u64,
    /// Tokens of the whole run, padding not counted; earlier processes included.
    pub tokens: u64,
    /// Metrics of the last step taken by this process; empty if there was nothing left to do.
    pub last: BTreeMap<String, f64>,
    /// The best evaluation, where examples were held out.
    pub best: Option<Best>,
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
/// [`TrainError::NotFinite`] and [`TrainError::Exploding`] if the loss or the gradient is NaN, infinite
/// or far above the usual, before the weights move; otherwise what the settings, the objective or the
/// disk have to say.
pub fn fit<P: Parameters>(
    objective: &dyn Objective<P>,
    sizes: Vec<ExampleSize>,
    initial: P,
    config: &TrainConfig,
    run: &TrainRun<'_>,
) -> Result<Trained<P>, TrainError> {
    config.validate()?;
    let (examples, held_out) = split(sizes.len(), config.evaluation.share, config.seed);
    if examples.is_empty() {
        return Err(TrainError::NoExamples { stage: run.stage.to_owned() });
    }
    let held_out = HeldOut::new(sizes.clone(), held_out, config.batching());
    let plan = Plan::over(sizes, examples, config.batching());
    let steps_per_epoch = plan.steps_per_epoch() as u64;
    let total = steps_per_epoch * config.epochs;
    let patience = config.evaluation.patience;
    let checkpoints =
        Checkpoints::open(run.dir.join("checkpoints"), identity(config, &plan, objective))?;
    let mut state = start(initial, config, &checkpoints, run)?;
    let mut saved_step = state.step;
    let mut journal = Journal::open(run, state.step, state.tokens, total)?;

    while state.step < total && !state.course.has_stalled(patience) {
        let epoch = state.step / steps_per_epoch;
        for batch in plan.epoch(epoch).iter().skip((state.step % steps_per_epoch) as usize) {
            let (step, started) = (state.step + 1, Instant::now());
            let _span = tracing::info_span!("step", stage = run.stage, step).entered();
            let name = StepName { objective, batch, step, saved_step, checkpoints: &checkpoints };
            let before = state.course.statistics();
            let (passes, interrupt) = (config.parallel_passes, run.interrupt);
            let Some(summed) =
                accumulate(batch, &state.parameters, &before, &name, passes, interrupt)?
            else {
                if state.step > saved_step {
                    checkpoints.save(&state)?;
                }
                let (done, unit, dir) = (state.step, "steps", checkpoints.dir().to_owned());
                return Err(TrainError::Interrupted { done, total, unit, dir });
            };
            let mean = 1.0 / summed.weight;
            let (loss, norm) = (summed.loss * mean, summed.gradients.norm()? * mean);
            name.check_finite("gradient norm", norm)?;
            name.check_exploding(loss, state.course.usual_loss(), config.explosion_factor)?;
            let gradients = summed.gradients.scaled(mean * clip_factor(norm, config.max_grad_norm));
            let learning_rate = config.schedule().learning_rate(step, total);
            state.parameters = state.optimizer.step(&state.parameters, gradients, learning_rate);
            state.step = step;
            state.tokens += summed.tokens;
            state.course.note_loss(loss);
            state.course.carry(summed.statistics);

            let mut metrics = summed.metrics.means();
            let seconds = started.elapsed().as_secs_f64();
            metrics.extend(objective.after_step(step, total, &state.parameters)?.means());
            metrics.insert("tokens_per_sec".to_owned(), summed.tokens as f64 / seconds);
            metrics.insert("loss".to_owned(), loss);
            metrics.insert("learning_rate".to_owned(), learning_rate);
            metrics.insert("grad_norm".to_owned(), norm);
            metrics.extend(rss_bytes().map(|bytes| ("rss_bytes".to_owned(), bytes as f64)));
            if held_out.is_due(step, total, config.evaluation.every_steps) {
                let _span = tracing::info_span!("evaluation", step).entered();
                let (loss, found) =
                    held_out.evaluate(objective, &state.parameters, &state.course, passes)?;
                name.check_finite("evaluation loss", loss)?;
                metrics.extend(found);
                if state.course.note_evaluation(step, loss) {
                    checkpoints.save_best(&state)?;
                }
            }
            journal.step(step, epoch + 1, state.tokens, metrics)?;
            let stalled = state.course.has_stalled(patience);
            if step.is_multiple_of(config.checkpoint_every_steps) || step == total || stalled {
                checkpoints.save(&state)?;
                saved_step = step;
            }
            if stalled {
                break;
            }
        }
    }
    let best = state.course.best();
    if let Some(best) = best.filter(|_| config.evaluation.keep == Keep::Best) {
        let template = &state.parameters;
        state.parameters = checkpoints.best(best.step, template, config.adamw)?.parameters;
    }
    let last = journal.finish(state.step, state.tokens, state.course.has_stalled(patience));
    let Checkpoint { parameters, tokens, step: steps, .. } = state;
    Ok(Trained { parameters, steps, tokens, last, best })
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
        course: Course::default(),
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

/// Settings that change the result. How often to save does not, nor what runs side by side, nor what
/// backward passes compute again.
fn identity<P>(config: &TrainConfig, plan: &Plan, objective: &dyn Objective<P>) -> RunIdentity {
    let settings = TrainConfig {
        checkpoint_every_steps: 1,
        parallel_passes: 1,
        recompute_blocks: false,
        ..config.clone()
    };
    RunIdentity {
        seed: config.seed,
        plan: fingerprint([plan.description()]),
        config: fingerprint([format!("{settings:?}"), objective.fingerprint()]),
    }
}
