//! Decoder language models on Burn: weights, LoRA, scoring and batched generation.

mod batch;
mod config;
mod device;
mod divergence;
mod error;
mod export;
mod full_weights;
mod generate;
mod interpolate;
mod kernels;
mod layers;
mod load;
mod local;
mod logprob;
mod lora;
mod model;
mod overlay;
mod parallel;
mod policy;
mod selftest;
mod small_file;
mod source;
mod states;
mod weights;

pub use batch::{Branch, TokenBatch, TokenSequence};
pub use config::{Activation, DecoderConfig, Family, LayerKind, LayerRope, RopeScaling};
pub use device::device;
pub use divergence::{KlDirection, vocab_kl};
pub use error::LmError;
pub use export::ExportOptions;
pub use full_weights::FullWeights;
pub use generate::{
    Batch, Choice, Generation, Generator, OnToken, Prompt, ReplyText, ScoredText, Token,
};
pub use kernels::bf16::{HalfWeight as Bf16Weight, Packed as Bf16Matrix};
pub use layers::Rotary;
pub use load::StoredType;
pub use local::LocalModel;
pub use logprob::{selective_logprob, selective_logprob_bf16};
pub use lora::{Adapter, Compressed, LoraConfig, MergeMode, ModuleNorm, Projection, merge_exact};
pub use model::CausalLm;
pub use overlay::{Overlay, Steering, Variant};
pub use parallel::side_by_side;
pub use policy::{Policy, Readout};
pub use selftest::{SelfTest, SelfTestBase, SelfTestCase};
pub use small_file::read as read_small_file;
pub use source::{
    AdapterSource, BUILTIN_MODEL, HubId, ModelFiles, ModelFormat, ModelIdentity, ModelSource,
    PinnedFile, PinnedWheel, cache_dir,
};
#[cfg(feature = "hub")]
pub use source::{RepoKind, Upload, UploadFile};
pub use states::BlockStates;
pub use weights::HfWeights;

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
