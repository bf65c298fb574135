//! How far texts lie along a direction.

use std::collections::BTreeMap;
use std::ops::Range;

use ingrain_lm::{Adapter, CausalLm, Overlay};
use ingrain_train::{Cost, Metrics, Objective, Statistics, TrainError};

use crate::direction::dot;
use crate::{Contrast, ControlVector, SteeringError};

/// Where texts lie along the directions of a [`ControlVector`].
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Mean over tokens of the state's component along the direction, by block; units of the residual
    /// stream.
    pub by_block: BTreeMap<usize, f64>,
    /// Tokens looked at.
    pub tokens: usize,
}

/// Reads projections.
#[derive(Clone, Debug)]
pub struct ProjectionMonitor {
    vector: ControlVector,
    /// Where the plain and the prompted model lie.
    anchors: Option<(Projection, Projection)>,
}

impl ProjectionMonitor {
    /// A monitor along `vector`.
    #[must_use]
    pub fn new(vector: ControlVector) -> Self {
        Self { vector, anchors: None }
    }

    /// A monitor along `vector` whose marks 0 and 1 stand where `model` has the continuations of
    /// `contrasts` without and with the prompt that asks for the character.
    ///
    /// # Errors
    /// [`SteeringError::NoContrasts`] if there is no token to read; otherwise as [`read`](Self::read).
    pub fn between(
        vector: ControlVector,
        model: &CausalLm,
        contrasts: &[Contrast],
    ) -> Result<Self, SteeringError> {
        let monitor = Self::new(vector);
        let read = |with: bool| {
            let texts: Vec<_> = contrasts.iter().map(|contrast| contrast.text(with)).collect();
            let texts: Vec<(&[u32], Range<usize>)> =
                texts.iter().map(|(ids, range)| (ids.as_slice(), range.clone())).collect();
            monitor.read(model, &texts, None)
        };
        let (plain, prompted) = (read(false)?, read(true)?);
        if plain.tokens == 0 {
            return Err(SteeringError::NoContrasts);
        }
        Ok(monitor.with_anchors(plain, prompted))
    }

    /// Puts the marks 0 and 1 where replies of the plain model and of the prompted one lie.
    #[must_use]
    pub fn with_anchors(mut self, plain: Projection, prompted: Projection) -> Self {
        self.anchors = Some((plain, prompted));
        self
    }

    /// Where the wanted tokens of `texts` lie as the model reads them under `overlay`.
    ///
    /// # Errors
    /// [`SteeringError::Model`] if a text cannot be read; [`SteeringError::Config`] if the vector belongs
    /// to a model of another shape.
    pub fn read<'a>(
        &self,
        model: &CausalLm,
        texts: &[(&[u32], Range<usize>)],
        overlay: impl Into<Overlay<'a>>,
    ) -> Result<Projection, SteeringError> {
        let overlay = overlay.into();
        let width = model.config().hidden_size;
        let first = self.vector.directions.keys().next().copied().unwrap_or(0);
        let end = self.vector.directions.keys().next_back().map_or(0, |last| last + 1);
        let widths = self.vector.directions.values().all(|d| d.len() == width);
        if end > model.config().num_layers || !widths {
            return Err(SteeringError::Config(
                "the control vector belongs to a model of another shape".to_owned(),
            ));
        }
        let tokens: usize = texts.iter().map(|(_, wanted)| wanted.len()).sum();
        let mut sums: BTreeMap<usize, f64> =
            self.vector.directions.keys().map(|&block| (block, 0.0)).collect();
        // One text a pass: states of all blocks exist at once.
        for text in texts {
            for states in model.states(std::slice::from_ref(text), first..end, overlay)? {
                let Some(direction) = self.vector.directions.get(&states.block) else { continue };
                let axis: Vec<f64> = direction.iter().map(|&v| f64::from(v)).collect();
                let along = states.values.chunks_exact(width).map(|row| dot(row, &axis));
                *sums.entry(states.block).or_default() += along.sum::<f64>();
            }
        }
        let mean = |(block, sum)| (block, sum / tokens.max(1) as f64);
        Ok(Projection { by_block: sums.into_iter().map(mean).collect(), tokens })
    }

    /// Where a projection lies between the plain model (0) and the prompted one (1), as a mean over
    /// blocks; may lie beyond either. `None` without anchors that differ.
    #[must_use]
    pub fn position(&self, projection: &Projection) -> Option<f64> {
        let (plain, prompted) = self.anchors.as_ref()?;
        let shares: Vec<f64> = projection
            .by_block
            .iter()
            .filter_map(|(block, at)| {
                let (zero, one) = (plain.by_block.get(block)?, prompted.by_block.get(block)?);
                Some((at - zero) / (one - zero)).filter(|share| share.is_finite())
            })
            .collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

impl Projection {
    /// Mean over blocks.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.by_block.values().sum::<f64>() / self.by_block.len().max(1) as f64
    }
}

/// An objective that reports, beside its own metrics, where some texts lie as training goes on.
///
/// Every so many steps, and after the last, it reads the texts under the adapter at hand and reports
/// `projection`: the position between the monitor's anchors, or without anchors the mean component.
pub struct Monitored<'a> {
    /// What is trained on; its costs and its fingerprint stay as they are.
    pub objective: &'a dyn Objective<Adapter>,
    /// What reads.
    pub monitor: &'a ProjectionMonitor,
    /// The model that the adapter belongs to.
    pub model: &'a CausalLm,
    /// Texts with the tokens that count.
    pub texts: &'a [(Vec<u32>, Range<usize>)],
    /// Steps from one reading to the next; at least 1.
    pub every_steps: u64,
}

impl Objective<Adapter> for Monitored<'_> {
    fn cost(&self, examples: &[usize], parameters: &Adapter) -> Result<Cost, TrainError> {
        self.objective.cost(examples, parameters)
    }

    fn statistics(&self, examples: &[usize], parameters: &Adapter) -> Result<Metrics, TrainError> {
        self.objective.statistics(examples, parameters)
    }

    fn carry(&self, before: &Statistics, batch: Statistics) -> Statistics {
        self.objective.carry(before, batch)
    }

    fn cost_given(
        &self,
        examples: &[usize],
        parameters: &Adapter,
        statistics: &Statistics,
    ) -> Result<Cost, TrainError> {
        self.objective.cost_given(examples, parameters, statistics)
    }

    fn after_step(
        &self,
        step: u64,
        total: u64,
        parameters: &Adapter,
    ) -> Result<Metrics, TrainError> {
        let mut metrics = self.objective.after_step(step, total, parameters)?;
        if step.is_multiple_of(self.every_steps.max(1)) || step == total {
            let texts: Vec<(&[u32], Range<usize>)> =
                self.texts.iter().map(|(ids, wanted)| (ids.as_slice(), wanted.clone())).collect();
            let read = self.monitor.read(self.model, &texts, Some(parameters));
            let read = read.map_err(TrainError::objective)?;
            let figure = self.monitor.position(&read).unwrap_or_else(|| read.mean());
            metrics.add("projection", figure, 1.0);
        }
        Ok(metrics)
    }

    fn example_name(&self, example: usize) -> String {
        self.objective.example_name(example)
    }

    fn fingerprint(&self) -> String {
        self.objective.fingerprint()
    }
}
