//! Character training of LLM assistants: from a written constitution to an adapter, and to an honest account of
//! what changed.
//!
//! [`Pipeline`] runs a [`Recipe`] for a [`Persona`], stage by stage, into a run directory that a person can
//! open; killed at any instant, the same call goes on. Everything that it is made of is a crate of its own,
//! re-exported here.
//!
//! ```text
//! constitution ─ prompts ─┬─ teacher ─┐
//!                         └─ student ─┴─ pairs ── DPO ── distillation adapter, folded into the weights
//!                                                              │
//!                       reflections, conversations ── transcripts ── SFT ── introspection adapter
//!                                                              │
//!            exact merge ── persona adapter, self-test, model card ── evaluation, report
//! ```
//!
//! # The map
//!
//! | to | begin at |
//! |---|---|
//! | train a persona | [`Pipeline`], [`Recipe`], [`Persona`] |
//! | read, lint and blend constitutions | [`constitution::Constitution`], [`constitution::lint`] |
//! | talk to any model | [`chat::ChatModel`]: [`lm::LocalModel`], `chat::OpenAiClient`, [`chat::Recorded`] |
//! | score given text | [`chat::Scorer`] |
//! | make training data | [`data`], stage by stage; other people's formats in [`data::interchange`] |
//! | load models, apply and merge adapters | [`lm::ModelSource`], [`lm::Adapter`], [`lm::merge_exact`] |
//! | train on preferences | [`dpo::DpoTrainer`]; a loss of your own: [`dpo::PreferenceLoss`] |
//! | train on transcripts, or on policy | [`introspection::SftTrainer`], [`introspection::OnPolicyDistiller`] |
//! | train on anything else | [`train::Objective`] and [`train::fit`] |
//! | steer in place of training | [`steering::ControlVector`] |
//! | judge, and judge the judge | [`judge::Judge`], [`judge::Session`], [`judge::ReliabilityConfig`] |
//! | evaluate | [`eval::Suite`]; methods side by side: [`Comparison`] |
//! | put numbers into intervals | [`stats::Bootstrap`], [`stats::BradleyTerry`] |
//! | show what came out | [`report::Report`]; sections of your own: [`run::SuiteReport`] |
//! | serve it, or have people annotate | [`serve::Server`], [`LocalEngine`], [`serve::AnnotationServer`] |
//! | write a stage that is never lost | [`run::Manifest`], [`run::JsonlStore`] |
//! | read GGUF files, tokenise chats | [`gguf::GgufFile`], [`tokenizer::ChatTokenizer`] |
//!
//! # Features
//!
//! `hub` (default): models and adapters by hub id. `openai` (default): models behind servers. `parquet`:
//! reading and writing Parquet. `png`: figures of reports as PNG files too. `cuda`, `ndarray`: other back ends.

mod ablation;
mod answerer;
mod audit;
mod card;
mod compare;
mod data_run;
mod error;
mod experiment;
mod export;
mod grading;
mod labelled;
mod persona;
mod pipeline;
mod recipe;
mod serving;
mod steered;

#[cfg(feature = "openai")]
pub use ablation::ServedStudent;
pub use ablation::{IntrospectionAuthor, IntrospectionBase, IntrospectionTexts};
pub use answerer::{Answerer, Opening, ReplySource};
#[cfg(feature = "openai")]
pub use answerer::{BatchSource, openai_client};
pub use audit::{Audit, Audited};
pub use compare::{Comparison, Method, Row};
pub use data_run::{Assumptions, DataRun, DataSummary};
pub use error::PipelineError;
pub use experiment::{
    Amount, Experiment, ExperimentPlan, GraderKind, JudgePlan, LikelihoodPlan, PreferencePlan,
    Seeds, Span, Way, markdown,
};
pub use export::{export_run_distillation, export_run_introspection, training_terms};
pub use grading::{classifier_grader, likelihood_grader};
pub use labelled::labelled_replies;
pub use persona::{Persona, PersonaPart};
pub use pipeline::{Pipeline, Teacher};
pub use recipe::{
    ChosenReplies, Critic, CritiqueRecipe, DataRecipe, EvaluationRecipe, GeneralPrompts,
    IntrospectionRecipe, MergeRecipe, MonitorRecipe, Recipe, RejectedReplies, StartFrom,
    TrainingPrecision,
};
pub use serving::LocalEngine;
pub use steered::{Steered, SteeringRecipe};

pub use ingrain_chat as chat;
pub use ingrain_classifier as classifier;
pub use ingrain_constitution as constitution;
pub use ingrain_data as data;
pub use ingrain_dpo as dpo;
pub use ingrain_eval as eval;
pub use ingrain_gguf as gguf;
pub use ingrain_introspection as introspection;
pub use ingrain_judge as judge;
pub use ingrain_lm as lm;
pub use ingrain_report as report;
pub use ingrain_run as run;
pub use ingrain_serve as serve;
pub use ingrain_stats as stats;
pub use ingrain_steering as steering;
pub use ingrain_tokenizer as tokenizer;
pub use ingrain_train as train;

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
