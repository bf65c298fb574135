//! Held-out examples: which they are, and what they cost.

use std::collections::BTreeMap;

use ingrain_lm::side_by_side;
use serde::{Deserialize, Serialize};

use crate::gradients::read_scalar;
use crate::shuffle::SplitMix64;
use crate::{Batching, Course, ExampleSize, Metrics, Objective, Parameters, Plan, TrainError};

/// Stream of the seed that the split is drawn from; epochs use the streams from 0.
const SPLIT_STREAM: u64 = u64::MAX;

/// Evaluation during training, early stopping, and which weights a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Share of the examples that is held out of training, 0 to below 1; at least one example if above
    /// 0. Default 0: no evaluation (the paper's way).
    pub share: f64,
    /// Steps between evaluations, from 1; there is one after the last step in any case. Default 20.
    pub every_steps: u64,
    /// Evaluations in a row without a lower loss after which training stops; 0 never stops. Default 0.
    pub patience: u64,
    /// Which weights the run ends with. Default last.
    pub keep: Keep,
}

/// Which weights a run ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those after the last step.
    #[default]
    Last,
    /// Those with the lowest loss on the held-out examples.
    Best,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { share: 0.0, every_steps: 20, patience: 0, keep: Keep::Last }
    }
}

/// Training and held-out examples by index, a function of the seed; both in rising order.
pub(crate) fn split(examples: usize, share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..examples).collect();
    if share == 0.0 {
        return (order, Vec::new());
    }
    SplitMix64::new(seed, SPLIT_STREAM).shuffle(&mut order);
    let held_out = ((examples as f64 * share).round() as usize).clamp(1, examples);
    let mut training = order.split_off(held_out);
    order.sort_unstable();
    training.sort_unstable();
    (training, order)
}

/// The held-out examples of a run, cut into passes.
pub(crate) struct HeldOut {
    passes: Vec<Vec<usize>>,
}

impl HeldOut {
    pub(crate) fn new(sizes: Vec<ExampleSize>, examples: Vec<usize>, batching: Batching) -> Self {
        let whole = Batching { batch_size: examples.len(), window_batches: 1, ..batching };
        let batches = Plan::over(sizes, examples, whole).epoch(0);
        Self { passes: batches.into_iter().flat_map(|batch| batch.micro_batches).collect() }
    }

    /// Whether there is anything to evaluate after this step.
    pub(crate) fn is_due(&self, step: u64, total: u64, every_steps: u64) -> bool {
        !self.passes.is_empty() && (step.is_multiple_of(every_steps) || step == total)
    }

    /// Mean loss, and every metric under its name with `eval_` in front.
    pub(crate) fn evaluate<P: Parameters>(
        &self,
        objective: &dyn Objective<P>,
        parameters: &P,
        course: &Course,
        parallel_passes: usize,
    ) -> Result<(f64, BTreeMap<String, f64>), TrainError> {
        let statistics = course.statistics();
        let (mut loss, mut weight, mut metrics) = (0.0, 0.0, Metrics::default());
        for passes in self.passes.chunks(parallel_passes) {
            let costs = side_by_side(passes, |examples| {
                let cost = objective.cost_given(examples, parameters, &statistics)?;
                Ok::<_, TrainError>((
                    read_scalar(cost.loss, "the loss")?,
                    cost.weight,
                    cost.metrics,
                ))
            });
            for cost in costs {
                let (sum, units, figures) = cost?;
                loss += sum;
                weight += units;
                metrics.merge(figures);
            }
        }
        let mean = loss / weight;
        let mut named: BTreeMap<String, f64> =
            metrics.means().into_iter().map(|(name, x)| (format!("eval_{name}"), x)).collect();
        named.insert("eval_loss".to_owned(), mean);
        Ok((mean, named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_on_one_side_and_the_seed_decides_which() {
        let (training, held_out) = split(40, 0.25, 1);
        assert_eq!((training.len(), held_out.len()), (30, 10));
        let mut all = [training, held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
        assert_eq!(split(40, 0.25, 1).1, held_out);
        assert_ne!(split(40, 0.25, 2).1, held_out);
    }

    #[test]
    fn a_small_share_of_few_examples_is_one_and_none_is_none() {
        assert_eq!(split(5, 0.01, 1).1.len(), 1);
        assert_eq!(split(5, 0.0, 1), (vec![0, 1, 2, 3, 4], vec![]));
    }
}
