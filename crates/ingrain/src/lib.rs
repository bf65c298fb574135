//! Character training of LLM assistants: the facade, the recipe and the pipeline.

mod ablation;
mod answerer;
mod card;
mod compare;
mod data_run;
mod error;
mod export;
mod labelled;
mod persona;
mod pipeline;
mod recipe;
mod serving;

#[cfg(feature = "openai")]
pub use ablation::ServedStudent;
pub use ablation::{IntrospectionAuthor, IntrospectionBase, IntrospectionTexts};
#[cfg(feature = "openai")]
pub use answerer::BatchSource;
pub use answerer::{Answerer, Opening, ReplySource};
pub use compare::{Comparison, Method, Row};
pub use data_run::{Assumptions, DataRun, DataSummary};
pub use error::PipelineError;
pub use export::{export_run_distillation, export_run_introspection, training_terms};
pub use labelled::labelled_replies;
pub use persona::{Persona, PersonaPart};
pub use pipeline::{Pipeline, Teacher};
pub use recipe::{
    ChosenReplies, Critic, CritiqueRecipe, DataRecipe, EvaluationRecipe, GeneralPrompts,
    IntrospectionRecipe, MergeRecipe, Recipe, RejectedReplies, StartFrom, TrainingPrecision,
};
pub use serving::LocalEngine;

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
