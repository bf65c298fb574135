//! Synthetic data for character training: preference pairs, reflections, self-interactions.
//!
//! Each stage is a function over a [`ingrain_chat::ChatModel`] and an append-only file. It can be
//! killed at any instant; called again, it sends what is missing and ends with the same records,
//! because a request's seed depends only on run seed, stage and index, and requests travel in
//! batches that their index fixes (see [`Generation`]).
//!
//! ```text
//! teacher_replies  ─┐
//!                   ├─ PairFilter::pairs ──────────── pairs.jsonl
//! student_replies  ─┘
//! self_reflection  ─┐
//!                   ├─ Assembly::transcripts ──────── introspection.jsonl
//! self_interaction ─┘
//! ```
//!
//! The last two are pure: records in, records and a report out. Where the released recipe of the
//! method has a defect that concerns data, [`DataFidelity`] holds a switch for it.
//!
//! This crate counts tokens only through a function that it is given, and knows nothing of training.

mod assembly;
mod collect;
mod error;
mod fidelity;
mod interaction;
mod name_leak;
mod pair;
mod pair_filter;
mod prompt;
mod quality;
mod reflection;
mod refusal;
mod replies;
mod sentence;
mod transcript;
mod view;

pub use assembly::{Assembly, AssemblyReport};
pub use collect::{Failure, Generation, StageReport};
pub use error::DataError;
pub use fidelity::{DataFidelity, Fidelity};
pub use interaction::{Conversation, InteractionPlan, InteractionTurn, self_interaction};
pub use pair::PreferencePair;
pub use pair_filter::{DropReason, Dropped, FilterReport, PairFilter};
pub use prompt::Prompt;
pub use quality::{LengthBias, Lengths, Opening, QualityReport, TextReport};
pub use reflection::self_reflection;
pub use refusal::is_refusal;
pub use replies::{Reply, student_replies, teacher_replies};
pub use sentence::{Unfinished, is_finished, trim_to_sentence};
pub use transcript::{Transcript, TranscriptKind};
