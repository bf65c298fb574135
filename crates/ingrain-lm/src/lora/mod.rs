//! Low-rank adapters: the side path, its configuration, its files.
//!
//! An [`Adapter`] is a value beside the model, not a change to it: a forward pass takes it or leaves
//! it. The reference of DPO is the same model with no adapter, at no cost in memory.

mod adapter;
mod compare;
mod compress;
mod config;
mod factor;
mod files;
mod merge;
mod merge_mode;
mod peft_config;

pub use adapter::Adapter;
pub(crate) use adapter::{LayerAdapter, LoraPair};
pub use compare::ModuleNorm;
pub use compress::Compressed;
pub use config::{LoraConfig, Projection};
pub use merge::merge_exact;
pub use merge_mode::MergeMode;
