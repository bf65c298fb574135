//! One optimiser step's forward and backward passes: micro-batch by micro-batch, gradients added up.

use ingrain_lm::side_by_side;
use ingrain_run::Interrupt;

use crate::checkpoint::Checkpoints;
use crate::gradients::read_scalar;
use crate::{Batch, Cost, Gradients, Metrics, Objective, Parameters, TrainError};

/// Sums over the micro-batches of a step.
pub(crate) struct Summed {
    pub(crate) loss: f64,
    pub(crate) weight: f64,
    pub(crate) tokens: u64,
    pub(crate) metrics: Metrics,
    pub(crate) gradients: Gradients,
}

/// Forward and backward of every micro-batch; `None` if somebody asked to stop.
pub(crate) fn accumulate<P: Parameters>(
    batch: &Batch,
    parameters: &P,
    name: &StepName<'_, P>,
    parallel_passes: usize,
    interrupt: &Interrupt,
) -> Result<Option<Summed>, TrainError> {
    let mut summed = Summed {
        loss: 0.0,
        weight: 0.0,
        tokens: 0,
        metrics: Metrics::default(),
        gradients: Gradients::default(),
    };
    // Passes run side by side, but add up in the order of the plan: the sum does not depend on time.
    for group in batch.micro_batches.chunks(parallel_passes) {
        if interrupt.is_requested() {
            return Ok(None);
        }
        for pass in side_by_side(group, |examples| pass(examples, parameters, name)) {
            let (pass, gradients) = pass?;
            summed.gradients = summed.gradients.plus(gradients);
            name.check_finite("loss", pass.loss)?;
            summed.loss += pass.loss;
            summed.weight += pass.weight;
            summed.tokens += pass.tokens;
            summed.metrics.merge(pass.metrics);
        }
    }
    Ok(Some(summed))
}

/// What a pass leaves when its graph is gone.
struct PassCost {
    loss: f64,
    weight: f64,
    tokens: u64,
    metrics: Metrics,
}

/// Forward and backward of one micro-batch.
fn pass<P: Parameters>(
    examples: &[usize],
    parameters: &P,
    name: &StepName<'_, P>,
) -> Result<(PassCost, Gradients), TrainError> {
    let tracked = parameters.tracked();
    let cost = name.objective.cost(examples, &tracked)?;
    if !cost.loss.is_tracked() {
        return Err(TrainError::Untracked { examples: name.examples() });
    }
    // Read before the backward, check after it: a graph that is dropped keeps its memory.
    let loss = read_scalar(cost.loss.clone(), "the loss")?;
    let gradients = Gradients::backward(&cost.loss, &tracked);
    let Cost { weight, tokens, metrics, .. } = cost;
    Ok((PassCost { loss, weight, tokens, metrics }, gradients))
}

/// What an error message needs to say which step failed.
pub(crate) struct StepName<'a, P> {
    pub(crate) objective: &'a dyn Objective<P>,
    pub(crate) batch: &'a Batch,
    pub(crate) step: u64,
    pub(crate) saved_step: u64,
    pub(crate) checkpoints: &'a Checkpoints,
}

impl<P> StepName<'_, P> {
    fn examples(&self) -> String {
        let names: Vec<String> =
            self.batch.examples().map(|i| self.objective.example_name(i)).collect();
        names.join(", ")
    }

    pub(crate) fn check_finite(&self, what: &'static str, value: f64) -> Result<(), TrainError> {
        if value.is_finite() {
            return Ok(());
        }
        Err(TrainError::NotFinite {
            what,
            value,
            step: self.step,
            examples: self.examples(),
            saved_step: self.saved_step,
            dir: self.checkpoints.dir().to_owned(),
        })
    }
}
