//! Learning from the model's own text: supervised fine-tuning on transcripts, and on-policy distillation.
//!
//! # The main decision
//!
//! A transcript says which of its turns the model itself generated, and the loss covers exactly
//! those, by token spans of the rendered conversation ([`tokenize_transcripts`]); canned
//! greetings, the other side's turns and system prompts stay out. The loss of a step is the mean
//! over the tokens of the whole optimiser batch. Everything else, from the data order to the
//! checkpoints, is [`ingrain_train::fit`].
//!
//! [`OnPolicyDistiller`] needs no transcripts: the student answers prompts while it trains, and its
//! constitution-prompted self scores each token over the whole vocabulary.
//!
//! ```no_run
//! use ingrain_introspection::{SftConfig, SftTrainer, TokenizedTranscript};
//! use ingrain_lm::{Adapter, CausalLm};
//! use ingrain_train::TrainRun;
//!
//! # fn f(model: &CausalLm, adapter: Adapter, transcripts: &[TokenizedTranscript], run: &TrainRun<'_>) -> Result<(), Box<dyn std::error::Error>> {
//! // needs weights, so it is only compiled here
//! let config = SftConfig::default();
//! let trainer = SftTrainer { model, base: "sha256:...", transcripts, config: &config };
//! let trained = trainer.fit(adapter, run)?;
//! trained.parameters.save("runs/sarcasm/introspection".as_ref(), "smollm2-135m-instruct")?;
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
mod objective;
mod on_policy;
mod trainer;
mod transcripts;

pub use config::{LossTurns, SftConfig};
pub use error::IntrospectionError;
pub use objective::SftObjective;
pub use on_policy::{DistillationPrompt, OnPolicyConfig, OnPolicyDistiller, distillation_prompts};
pub use trainer::SftTrainer;
pub use transcripts::{Cut, TokenizedTranscript, tokenize_transcripts};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
