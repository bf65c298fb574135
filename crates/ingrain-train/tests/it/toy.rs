//! Two small matrices and a cost that couples them, and runs over them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use ingrain_run::{Event, Interrupt, Observer};
use ingrain_train::{
    Cost, ExampleSize, Metrics, Objective, Parameters, Statistics, TrainConfig, TrainError,
    TrainRun, Trained, fit,
};

pub(crate) const EXAMPLES: usize = 10;

/// Named matrices.
#[derive(Clone, Debug)]
pub(crate) struct Named(BTreeMap<String, Tensor<2>>);

impl Named {
    pub(crate) fn start() -> Self {
        let matrix =
            |a: f32, b: f32| Tensor::from_data([[a, b], [b, -a], [0.3, a]], &Device::flex());
        Self(BTreeMap::from([
            ("lora_A".to_owned(), matrix(0.5, -0.2)),
            ("lora_B".to_owned(), matrix(0.1, 0.7)),
        ]))
    }

    /// The exact values, for comparisons to the bit.
    pub(crate) fn bits(&self) -> Vec<u32> {
        let values = |t: &Tensor<2>| t.to_data().try_to_vec::<f32>().expect("f32");
        self.0.values().flat_map(values).map(f32::to_bits).collect()
    }

    pub(crate) fn distance(&self, other: &Self) -> f32 {
        let value = |bits: u32| f32::from_bits(bits);
        let pairs = self.bits().into_iter().zip(other.bits());
        pairs.map(|(a, b)| (value(a) - value(b)).abs()).fold(0.0, f32::max)
    }
}

impl Parameters for Named {
    fn parameters(&self) -> Vec<(String, Tensor<2>)> {
        self.0.clone().into_iter().collect()
    }

    fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
        Self(self.0.iter().map(|(name, t)| (name.clone(), f(name, t.clone()))).collect())
    }
}

/// Squared distance of `A * (1 + B)`, row by row, to a target of each example.
#[derive(Default)]
pub(crate) struct Distance {
    /// The example whose cost is NaN.
    pub(crate) poisoned: Option<usize>,
    /// Calls after which every further one fails, as a kill would.
    pub(crate) fails_after: Option<usize>,
    /// Whether the cost forgets the parameters.
    pub(crate) untracked: bool,
    /// The example whose cost is a thousandfold from this call on.
    pub(crate) exploding: Option<(usize, usize)>,
    /// Whether every cost depends on the mean index of its whole batch, and on those before.
    pub(crate) depends_on_batch: bool,
    pub(crate) calls: AtomicUsize,
}

impl Objective<Named> for Distance {
    fn cost(&self, examples: &[usize], parameters: &Named) -> Result<Cost, TrainError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fails_after.is_some_and(|limit| call >= limit) {
            return Err(TrainError::objective(std::io::Error::other("the power went out")));
        }
        let (a, b) = (parameters.0["lora_A"].clone(), parameters.0["lora_B"].clone());
        let value = a.clone() + a * b;
        let device = Device::flex();
        let mut loss = Tensor::<1>::zeros([1], &device);
        for &i in examples {
            let x = i as f32;
            let target = Tensor::<2>::from_data([[x.sin(), (1.3 * x).cos()]], &device);
            loss = loss + (value.clone() - target).square().sum();
        }
        if self.exploding.is_some_and(|(bad, from)| examples.contains(&bad) && call >= from) {
            loss = loss.mul_scalar(1000.0);
        }
        if self.poisoned.is_some_and(|bad| examples.contains(&bad)) {
            loss = loss * f32::NAN;
        }
        if self.untracked {
            loss = loss.inner();
        }
        let weight = examples.len() as f64;
        let mut metrics = Metrics::default();
        metrics.add("mean_index", examples.iter().sum::<usize>() as f64, weight);
        Ok(Cost { loss, weight, tokens: 5 * examples.len() as u64, metrics })
    }

    fn statistics(&self, examples: &[usize], _: &Named) -> Result<Metrics, TrainError> {
        let mut metrics = Metrics::default();
        if self.depends_on_batch {
            metrics.add("mean", examples.iter().sum::<usize>() as f64, examples.len() as f64);
        }
        Ok(metrics)
    }

    fn carry(&self, before: &Statistics, batch: Statistics) -> Statistics {
        let mean = |of: &Statistics| of.get("mean").copied().unwrap_or(0.0);
        Statistics::from([("mean".to_owned(), (mean(before) + mean(&batch)) / 3.0)])
    }

    fn cost_given(
        &self,
        examples: &[usize],
        parameters: &Named,
        statistics: &Statistics,
    ) -> Result<Cost, TrainError> {
        let cost = self.cost(examples, parameters)?;
        let factor = if self.depends_on_batch { 1.0 + statistics["mean"] } else { 1.0 };
        let mut metrics = cost.metrics;
        metrics.add("carried", statistics["mean"], 1.0);
        Ok(Cost { loss: cost.loss.mul_scalar(factor), metrics, ..cost })
    }

    fn example_name(&self, example: usize) -> String {
        format!("pair-{example}")
    }
}

/// Collects events; asks to stop after a step if told so.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) stop_after: Option<u64>,
    pub(crate) interrupt: Interrupt,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl Recorder {
    pub(crate) fn stopping_after(step: u64) -> Self {
        Self { stop_after: Some(step), ..Self::default() }
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        let events = self.events.lock().expect("not poisoned");
        let note = |event: &Event| match event {
            Event::Note { message, .. } => Some(message.clone()),
            _ => None,
        };
        events.iter().filter_map(note).collect()
    }

    pub(crate) fn metric(&self, name: &str) -> Vec<f64> {
        let events = self.events.lock().expect("not poisoned");
        let value = |event: &Event| match event {
            Event::Step { metrics, .. } => metrics.get(name).copied(),
            _ => None,
        };
        events.iter().filter_map(value).collect()
    }
}

impl Observer for Recorder {
    fn on_event(&self, event: &Event) {
        if let Event::Step { step, .. } = event
            && self.stop_after == Some(*step)
        {
            self.interrupt.request();
        }
        self.events.lock().expect("not poisoned").push(event.clone());
    }
}

/// 3 epochs of 10 examples in batches of 4: 9 steps.
pub(crate) fn config() -> TrainConfig {
    TrainConfig {
        epochs: 3,
        batch_size: 4,
        micro_batch_tokens: 20,
        length_window_batches: 2,
        learning_rate: 0.05,
        checkpoint_every_steps: 2,
        ..TrainConfig::default()
    }
}

pub(crate) fn train(
    dir: &Path,
    objective: &Distance,
    config: &TrainConfig,
    recorder: &Recorder,
) -> Result<Trained<Named>, TrainError> {
    let run = TrainRun {
        stage: "toy",
        dir,
        resume: true,
        observer: recorder,
        interrupt: &recorder.interrupt,
    };
    let sizes = (0..EXAMPLES).map(|i| ExampleSize { rows: 2, width: 3 + i % 4 }).collect();
    fit(objective, sizes, Named::start(), config, &run)
}

/// One undisturbed run in a directory of its own.
pub(crate) fn undisturbed(config: &TrainConfig) -> Trained<Named> {
    let dir = tempfile::tempdir().expect("temporary directory");
    train(dir.path(), &Distance::default(), config, &Recorder::default()).expect("trains")
}
