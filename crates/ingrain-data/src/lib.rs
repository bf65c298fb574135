//! Synthetic data for character training: preference pairs, reflections, self-interactions.
//!
//! Each stage is a function over a [`ingrain_chat::ChatModel`] and an append-only file. It can be
//! killed at any instant; called again, it sends what is missing and ends with the same records,
//! because a request's seed depends only on run seed, stage and index, and requests travel in
//! batches that their index fixes (see [`Generation`]).
//!
//! ```text
//! expand_prompts, read_first_turns ────────────────── prompts.jsonl
//! teacher_replies  ─┐
//!                   ├─ PairFilter::pairs ──────────── pairs.jsonl
//! student_replies  ─┘
//! self_reflection  ─┐
//!                   ├─ Assembly::transcripts ──────── introspection.jsonl
//! self_interaction ─┘
//! ```
//!
//! Instead of the plain student, the teacher under [`opposite_system`] gives rejected replies from the
//! opposite pole; instead of the teacher, [`critique_and_revise`] gives chosen ones. [`Estimator`] says
//! beforehand what stages will take, [`QualityReport`] afterwards what came of them, and [`interchange`]
//! reads and writes other people's formats.
//!
//! `PairFilter` and `Assembly` are pure: records in, records and a report out. No stage holds a file's texts
//! in memory: it holds prompts, keys, hashes and the batch under way, and reads the rest where it is needed
//! (`each_pair`, `each_transcript`, `each_interaction`, `QualityTally`). Where the released recipe of the
//! method has a defect that concerns data, [`DataFidelity`] holds a switch for it.
//!
//! This crate counts tokens only through a function that it is given, and knows nothing of training.

mod assembly;
mod collect;
mod continuations;
mod critique;
mod error;
mod estimate;
mod expansion;
mod fidelity;
mod first_turns;
mod interaction;
pub mod interchange;
mod name_leak;
mod near_duplicates;
mod opposite;
mod pair;
mod pair_filter;
mod prompt;
mod quality;
mod quality_table;
mod reasoning;
mod reflection;
mod refusal;
mod replies;
mod sentence;
mod transcript;
mod view;
mod words;

pub use assembly::{Assembly, AssemblyReport};
pub use collect::{Failure, Generation, StageReport};
pub use continuations::{OpenConversation, continue_each};
pub use critique::critique_and_revise;
pub use error::DataError;
pub use estimate::{Estimator, StageEstimate};
pub use expansion::{
    Expansion, ExpansionReply, ExpansionReport, RejectReason, Rejected, expand_prompts,
};
pub use fidelity::{DataFidelity, Fidelity};
pub use first_turns::{TurnFilter, TurnFormat, TurnReport, built_in_first_turns, read_first_turns};
pub use interaction::{
    Conversation, InteractionPlan, InteractionTurn, each_interaction, self_interaction,
};
pub use near_duplicates::{NearDuplicate, NearDuplicateSearch, NearDuplicates};
pub use opposite::opposite_system;
pub use pair::PreferencePair;
pub use pair_filter::{DropReason, Dropped, FilterReport, PairFilter};
pub use prompt::Prompt;
pub use quality::{
    LengthBias, Lengths, Opening, QualityReport, QualityTally, TextReport, TextTally,
};
pub use reasoning::Reasoning;
pub use reflection::self_reflection;
pub use refusal::is_refusal;
pub use replies::{Replies, Reply, reasoning_teacher_replies, student_replies, teacher_replies};
pub use sentence::{Unfinished, is_finished, trim_to_sentence};
pub use transcript::{Transcript, TranscriptKind};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
