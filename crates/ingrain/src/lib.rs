//! Character training of LLM assistants: the facade, the recipe and the pipeline.

mod ablation;
mod audit;
mod card;
mod compare;
mod error;
mod experiment;
mod persona;
mod pipeline;
mod recipe;
mod serving;
mod steered;

pub use ablation::{IntrospectionAuthor, IntrospectionBase, IntrospectionTexts};
pub use audit::{Audit, Audited};
pub use compare::{Comparison, Method, Row};
pub use error::PipelineError;
pub use experiment::{
    Amount, Experiment, ExperimentPlan, JudgePlan, PreferencePlan, Seeds, Span, Way, markdown,
};
pub use persona::{Persona, PersonaPart};
pub use pipeline::{Pipeline, Teacher};
pub use recipe::{
    DataRecipe, EvaluationRecipe, IntrospectionRecipe, MergeRecipe, Recipe, TrainingPrecision,
};
pub use serving::LocalEngine;
pub use steered::{Steered, SteeringRecipe};

pub use ingrain_chat as chat;
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
