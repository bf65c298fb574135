//! What every trainer shares, as plain structs and functions: batches by length, learning-rate
//! schedules, gradient accumulation and clipping, AdamW, checkpoints, and the loop.
//!
//! # The main decision
//!
//! Burn's own trainer checkpoints and resumes at epoch ends only and clips each tensor by itself;
//! a character is often trained in less than one epoch's time between two power cuts. So the loop
//! is ours, and it is one function, [`fit`], that reads from top to bottom. It knows nothing of
//! language models: an [`Objective`] says what a batch of examples costs, [`Parameters`] are
//! matrices with names. Distillation and fine-tuning are objectives; so is yours.
//!
//! Everything that decides the next step is a function of the seed and the step number, or is
//! saved: a run that was killed and resumed gives the same parameters, bit for bit, as one that
//! was not.
//!
//! # Example
//!
//! An objective over a single matrix: bring it close to 3.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ingrain_run::{Interrupt, Silent};
//! use ingrain_train::{Cost, ExampleSize, Objective, Parameters, TrainConfig, TrainError, TrainRun};
//!
//! #[derive(Clone)]
//! struct Weight(Tensor<2>);
//! impl Parameters for Weight {
//!     fn parameters(&self) -> Vec<(String, Tensor<2>)> {
//!         vec![("w".to_owned(), self.0.clone())]
//!     }
//!     fn map_parameters(&self, f: &mut dyn FnMut(&str, Tensor<2>) -> Tensor<2>) -> Self {
//!         Weight(f("w", self.0.clone()))
//!     }
//! }
//!
//! struct CloseToThree;
//! impl Objective<Weight> for CloseToThree {
//!     fn cost(&self, examples: &[usize], weight: &Weight) -> Result<Cost, TrainError> {
//!         let n = examples.len();
//!         let loss = (weight.0.clone() - 3.0).square().sum() * n as f32;
//!         Ok(Cost { loss, weight: n as f64, tokens: n as u64, metrics: Default::default() })
//!     }
//! }
//!
//! let dir = tempfile::tempdir()?;
//! let config = TrainConfig { epochs: 40, learning_rate: 0.3, batch_size: 2, ..Default::default() };
//! let run = TrainRun {
//!     stage: "example",
//!     dir: dir.path(),
//!     resume: true,
//!     observer: &Silent,
//!     interrupt: &Interrupt::new(),
//! };
//! let start = Weight(Tensor::zeros([1, 1], &Device::flex()));
//! let sizes = vec![ExampleSize { rows: 1, width: 1 }; 4];
//! let trained = ingrain_train::fit(&CloseToThree, sizes, start, &config, &run)?;
//! assert_eq!(trained.steps, 80);
//! assert!((trained.parameters.0.into_scalar::<f32>() - 3.0).abs() < 0.05);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accumulate;
mod adamw;
mod adapter;
mod checkpoint;
mod config;
mod course;
mod error;
mod evaluate;
mod fingerprint;
mod fit;
mod gradients;
mod log;
mod objective;
mod parameters;
mod plan;
mod schedule;
mod shuffle;
mod tensor_file;
#[cfg(test)]
mod testing;

pub use adamw::{AdamW, AdamWConfig};
pub use checkpoint::{Checkpoint, Checkpoints, RunIdentity};
pub use config::TrainConfig;
pub use course::{Best, Course};
pub use error::TrainError;
pub use evaluate::{EvaluationConfig, Keep};
pub use fingerprint::fingerprint;
pub use fit::{TrainRun, Trained, fit};
pub use gradients::{Gradients, clip_factor};
pub use log::StepRecord;
pub use objective::{Cost, Metrics, Objective, Statistics};
pub use parameters::Parameters;
pub use plan::{Batch, Batching, ExampleSize, Plan};
pub use schedule::{Decay, Schedule};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
