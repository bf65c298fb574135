//! Objectives over single replies that somebody liked or did not: no pairs needed.
//!
//! Their losses depend on a figure of the whole optimiser batch (a KL estimate, a running mean of
//! rewards), so they are not losses over pairs but an objective of their own: a first pass without
//! gradients measures the batch, and only then is each reply priced. The price is that pass: about a
//! third more time a step.

mod bco;
mod kto;
mod loss;
mod objective;
mod replies;
mod trainer;

pub use bco::Bco;
pub use kto::Kto;
pub use loss::UnpairedLoss;
pub use objective::UnpairedObjective;
pub use replies::{TokenizedReply, UnpairedReply, split_pairs, tokenize_replies};
pub use trainer::{UnpairedConfig, UnpairedTrainer};
