//! What every stage of a run leaves on disk, and how it reports progress.
//!
//! A run can be killed at any instant and started again without losing or repeating finished work.
//! Three things see to that: records go to an append-only [`JsonlStore`] that survives a kill inside
//! a write; every other file appears by [`write_atomic`], complete or not at all; and the
//! [`Manifest`] remembers what each stage was made from, so that it is reused, resumed or redone.
//! A [`RunDir`] keeps a second process out.
//!
//! This crate knows nothing of models, data or training.

mod atomic;
mod base64;
mod error;
mod hash;
mod interrupt;
mod jsonl;
mod jsonl_file;
mod lock;
mod manifest;
mod memory;
mod observer;
mod outputs;
mod plan;
mod record;
mod rundir;
mod stage;
mod suite;
mod summary;
mod tensorboard;
mod timer;

pub use atomic::{write_atomic, write_atomic_with, write_json_atomic};
pub use base64::base64;
pub use error::RunError;
pub use hash::{derive_seed, sha256_file, sha256_hex};
pub use interrupt::Interrupt;
pub use jsonl::{JsonlStore, Keyed};
pub use jsonl_file::{JsonlFile, read_jsonl, scan_jsonl, write_jsonl, write_jsonl_with};
pub use lock::FileLock;
pub use manifest::{Begin, Manifest};
pub use memory::{peak_rss_bytes, rss_bytes};
pub use observer::{Event, Observer, Recorder, Several, Silent, Within};
pub use plan::StagePlan;
pub use record::{OutputFile, StageRecord, StageState};
pub use rundir::RunDir;
pub use stage::StageRun;
pub use suite::{Cell, Chart, Estimate, Figure, Series, Shift, SuiteReport, Table};
pub use summary::{ByModel, Heldout, Sample, StageSummary, Summary};
pub use tensorboard::TensorBoard;
pub use timer::StageTimer;

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
