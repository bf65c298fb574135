//! One optimiser step's forward and backward passes: micro-batch by micro-batch, gradients added up.

use ingrain_lm::side_by_side;
use ingrain_run::Interrupt;

use crate::checkpoint::Checkpoints;
use crate::gradients::read_scalar;
use crate::{Batch, Cost, Gradients, Metrics, Objective, Parameters, Statistics, TrainError};

/// Sums over the micro-batches of a step.
pub(crate) struct Summed {
    pub(crate) loss: f64,
    pub(crate) weight: f64,
    pub(crate) tokens: u64,
    pub(crate) metrics: Metrics,
    pub(crate) gradients: Gradients,
    /// What the objective carries on.
    pub(crate) statistics: Statistics,
}

/// Forward and backward of every micro-batch; `None` if somebody asked to stop.
pub(crate) fn accumulate<P: Parameters>(
    batch: &Batch,
    parameters: &P,
    before: &Statistics,
    name: &StepName<'_, P>,
    parallel_passes: usize,
    interrupt: &Interrupt,
) -> Result<Option<Summed>, TrainError> {
    let Some(batch_means) = statistics(batch, parameters, name, parallel_passes, interrupt)? else {
        return Ok(None);
    };
    let statistics = name.objective.carry(before, batch_means);
    let mut summed = Summed {
        loss: 0.0,
        weight: 0.0,
        tokens: 0,
        metrics: Metrics::default(),
        gradients: Gradients::default(),
        statistics,
    };
    // Passes run side by side, but add up in the order of the plan: the sum does not depend on time.
    for group in batch.micro_batches.chunks(parallel_passes) {
        if interrupt.is_requested() {
            return Ok(None);
        }
        let statistics = &summed.statistics;
        let passes = side_by_side(group, |examples| pass(examples, parameters, statistics, name));
        for pass in passes {
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

/// Means over the whole batch of what its costs depend on; `None` if somebody asked to stop.
fn statistics<P: Parameters>(
    batch: &Batch,
    parameters: &P,
    name: &StepName<'_, P>,
    parallel_passes: usize,
    interrupt: &Interrupt,
) -> Result<Option<Statistics>, TrainError> {
    let mut sums = Metrics::default();
    for group in batch.micro_batches.chunks(parallel_passes) {
        if interrupt.is_requested() {
            return Ok(None);
        }
        for part in side_by_side(group, |examples| name.objective.statistics(examples, parameters))
        {
            sums.merge(part?);
        }
    }
    Ok(Some(sums.means()))
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
    statistics: &Statistics,
    name: &StepName<'_, P>,
) -> Result<(PassCost, Gradients), TrainError> {
    let _span = tracing::debug_span!("pass", examples = examples.len()).entered();
    let tracked = parameters.tracked();
    let cost = name.objective.cost_given(examples, &tracked, statistics)?;
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

    /// A loss far above what was usual so far, checked before the weights move.
    pub(crate) fn check_exploding(
        &self,
        loss: f64,
        usual: Option<f64>,
        factor: Option<f64>,
    ) -> Result<(), TrainError> {
        let (Some(usual), Some(factor)) = (usual, factor) else { return Ok(()) };
        if usual <= 0.0 || loss <= factor * usual {
            return Ok(());
        }
        Err(TrainError::Exploding {
            loss,
            usual,
            step: self.step,
            examples: self.examples(),
            saved_step: self.saved_step,
            dir: self.checkpoints.dir().to_owned(),
        })
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
