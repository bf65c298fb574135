//! Decoder language models on Burn: weights, LoRA, scoring and batched generation.

mod batch;
mod config;
mod error;
mod generate;
mod layers;
mod load;
mod logprob;
mod lora;
mod model;
mod source;
mod weights;

pub use batch::{TokenBatch, TokenSequence};
pub use config::{DecoderConfig, RopeScaling};
pub use error::LmError;
pub use generate::{Generation, Generator, Prompt};
pub use logprob::selective_logprob;
pub use lora::{Adapter, LoraConfig, Projection, merge_exact};
pub use model::CausalLm;
pub use source::{BUILTIN_MODEL, ModelFiles, ModelFormat, ModelIdentity, ModelSource, cache_dir};
