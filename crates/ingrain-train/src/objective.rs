//! The seam between the loop and what it optimises.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use ingrain_lm::Adapter;

use crate::TrainError;

/// Named figures of a whole optimiser batch.
pub type Statistics = BTreeMap<String, f64>;

/// What a batch of examples costs.
///
/// An objective holds its data and answers for examples by index. It never reduces to a mean,
/// logs, or steps: [`fit`](crate::fit) does.
pub trait Objective<P = Adapter>: Sync {
    /// Cost of `examples` under `parameters`.
    ///
    /// `parameters` record a graph during training and are plain during evaluation; the same
    /// code serves both.
    ///
    /// # Errors
    /// Whatever the objective cannot do, wrapped by [`TrainError::objective`].
    fn cost(&self, examples: &[usize], parameters: &P) -> Result<Cost, TrainError>;

    /// Figures of a whole batch that the cost of each of its examples depends on, the KL estimate of KTO
    /// for one. Called with plain parameters for every micro-batch of a step before the first cost.
    ///
    /// # Errors
    /// As [`cost`](Self::cost).
    fn statistics(&self, _examples: &[usize], _parameters: &P) -> Result<Metrics, TrainError> {
        Ok(Metrics::default())
    }

    /// What the costs of a step are given, from what the step before was given and the means of
    /// [`statistics`](Self::statistics) over the whole batch. Saved in checkpoints.
    fn carry(&self, _before: &Statistics, batch: Statistics) -> Statistics {
        batch
    }

    /// Cost of `examples` given what [`carry`](Self::carry) returned for their step.
    ///
    /// # Errors
    /// As [`cost`](Self::cost).
    fn cost_given(
        &self,
        examples: &[usize],
        parameters: &P,
        _statistics: &Statistics,
    ) -> Result<Cost, TrainError> {
        self.cost(examples, parameters)
    }

    /// Figures to report after a step beside those of its costs, read from plain parameters. `total` is how
    /// many steps the run has. They change nothing that is trained.
    ///
    /// # Errors
    /// As [`cost`](Self::cost).
    fn after_step(&self, _step: u64, _total: u64, _parameters: &P) -> Result<Metrics, TrainError> {
        Ok(Metrics::default())
    }

    /// Name of an example for messages.
    fn example_name(&self, example: usize) -> String {
        format!("#{example}")
    }

    /// Text that changes whenever the data or the loss changes. A checkpoint is continued only
    /// under the fingerprint it was made with.
    fn fingerprint(&self) -> String {
        String::new()
    }
}

/// Cost of one micro-batch, not yet divided by anything.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Sum of the losses of the micro-batch, shape `[1]`.
    pub loss: Tensor<1>,
    /// What the sum is to be divided by, in units that add up over the micro-batches of a step:
    /// the number of pairs, or of completion tokens.
    pub weight: f64,
    /// Tokens of the sequences that were priced, padding not counted, a beginning that several share
    /// counted for each.
    pub tokens: u64,
    /// Figures to report beside the loss.
    pub metrics: Metrics,
}

/// Named weighted means that can be added up over micro-batches.
///
/// # Examples
/// ```
/// use ingrain_train::Metrics;
///
/// let mut step = Metrics::default();
/// step.add("accuracy", 3.0, 4.0); // 3 of 4 pairs
/// let mut other = Metrics::default();
/// other.add("accuracy", 1.0, 4.0); // 1 of 4 pairs
/// step.merge(other);
/// assert_eq!(step.means()["accuracy"], 0.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, (f64, f64)>);

impl Metrics {
    /// Adds a sum over `weight` units to the metric `name`.
    pub fn add(&mut self, name: impl Into<String>, sum: f64, weight: f64) {
        let (total, units) = self.0.entry(name.into()).or_default();
        *total += sum;
        *units += weight;
    }

    /// Adds every metric of `other`.
    pub fn merge(&mut self, other: Self) {
        for (name, (sum, weight)) in other.0 {
            self.add(name, sum, weight);
        }
    }

    /// Sum divided by weight for each metric; those of no weight are left out.
    #[must_use]
    pub fn means(&self) -> BTreeMap<String, f64> {
        let measured = self.0.iter().filter(|(_, (_, weight))| *weight > 0.0);
        measured.map(|(name, (sum, weight))| (name.clone(), sum / weight)).collect()
    }
}
