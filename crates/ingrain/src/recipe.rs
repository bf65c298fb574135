//! The recipe: every number of a run, in one file.

mod data;
mod monitor;
mod start;

use std::path::{Path, PathBuf};

use ingrain_chat::{Budget, Sampling};
use ingrain_data::{DataFidelity, Unfinished};
use ingrain_dpo::DpoConfig;
use ingrain_introspection::{OnPolicyConfig, SftConfig};
use ingrain_lm::LoraConfig;
use serde::{Deserialize, Serialize};

use crate::{IntrospectionAuthor, IntrospectionBase, IntrospectionTexts, PipelineError};

pub use data::{
    ChosenReplies, Critic, CritiqueRecipe, DataRecipe, GeneralPrompts, RejectedReplies,
};
pub use monitor::MonitorRecipe;
pub use start::StartFrom;

const QUICK: &str = include_str!("../recipes/quick.yaml");
const PAPER: &str = include_str!("../recipes/paper.yaml");

/// Every number of a run. Unknown keys are refused; absent ones have the paper's value.
///
/// # Examples
/// ```
/// use ingrain::Recipe;
///
/// let quick = Recipe::named_or_file("quick")?;
/// assert_eq!(quick.model, "smollm2-135m-instruct");
/// assert!(Recipe::parse("distilation: {}", "mine.yaml").is_err());
/// # Ok::<(), ingrain::PipelineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Model to train: a built-in alias, an HF directory or a `.gguf` file.
    pub model: String,
    /// Name under which the assistant appears in prompts. Default "Assistant".
    pub assistant_name: String,
    /// Seed of everything: replies, adapter initialisation, data order. Default 123456 (paper).
    pub seed: u64,
    /// Prompts, replies and their filter.
    pub data: DataRecipe,
    /// Size and reach of both adapters.
    pub lora: LoraConfig,
    /// Arithmetic of products with frozen weights while training. Default f32.
    pub training_precision: TrainingPrecision,
    /// Preference training on teacher against student.
    pub distillation: DpoConfig,
    /// Training on the model's own reflections and conversations.
    pub introspection: IntrospectionRecipe,
    /// On-policy distillation, where a comparison asks for it; no part of the method.
    pub on_policy: OnPolicyConfig,
    /// What is read while adapters train. Default nothing.
    pub monitor: MonitorRecipe,
    /// Weights of the two adapters in the persona.
    pub merge: MergeRecipe,
    /// Evaluation after training.
    pub evaluation: EvaluationRecipe,
    /// Which defects of the released code are reproduced. Default: none.
    pub fidelity: DataFidelity,
    /// Files made elsewhere that take the place of stages. Default none.
    pub start_from: StartFrom,
    /// File of prices by model, in any currency for a million tokens (`docs/data.md`). Default none: tokens
    /// are counted, money is not.
    pub prices: Option<PathBuf>,
    /// What models behind servers may cost, this run's earlier processes included. Default no limit.
    pub budget: Budget,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            model: ingrain_lm::BUILTIN_MODEL.into(),
            assistant_name: "Assistant".into(),
            seed: 123_456,
            data: DataRecipe::default(),
            lora: LoraConfig::default(),
            training_precision: TrainingPrecision::default(),
            distillation: DpoConfig::default(),
            introspection: IntrospectionRecipe::default(),
            on_policy: OnPolicyConfig::default(),
            monitor: MonitorRecipe::default(),
            merge: MergeRecipe::default(),
            evaluation: EvaluationRecipe::default(),
            fidelity: DataFidelity::default(),
            start_from: StartFrom::default(),
            prices: None,
            budget: Budget::default(),
        }
    }
}

/// Arithmetic of products with frozen weights; what trains is always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// The same on every processor.
    #[default]
    F32,
    /// Weights and activations rounded to bf16, sums in f32: several times as fast, on processors with
    /// AVX-512 BF16 only; refused on others.
    Bf16,
}

/// Training on the model's own text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntrospectionRecipe {
    /// Texts a reflection task; there are 10 tasks. Default 1000 (paper).
    pub reflections_per_task: usize,
    /// Conversations between two copies without and with the reflective lead, each. Default 1000
    /// (paper).
    pub conversations_per_kind: usize,
    /// Generated turns a conversation. Default 10 (paper).
    pub turns: usize,
    /// Which texts are made and learnt from. Default both (paper).
    pub texts: IntrospectionTexts,
    /// Who writes them. Default the distilled model (paper).
    pub author: IntrospectionAuthor,
    /// What the adapter is trained on top of. Default the folded model (paper).
    pub base: IntrospectionBase,
    /// Most transcripts that are trained on, nested as `data.max_pairs`. Default none: all.
    pub max_transcripts: Option<usize>,
    /// How reflections are sampled.
    pub reflection: Sampling,
    /// How turns of conversations are sampled.
    pub interaction: Sampling,
    /// What happens to a text that the token limit cut off.
    pub unfinished: Unfinished,
    /// Which turns train, longest transcript, steps, rates and batches.
    pub sft: SftConfig,
}

impl Default for IntrospectionRecipe {
    fn default() -> Self {
        Self {
            reflections_per_task: 1000,
            conversations_per_kind: 1000,
            turns: 10,
            texts: IntrospectionTexts::default(),
            author: IntrospectionAuthor::default(),
            base: IntrospectionBase::default(),
            max_transcripts: None,
            reflection: Sampling { max_new_tokens: 2048, ..Sampling::default() },
            interaction: Sampling { max_new_tokens: 1024, ..Sampling::default() },
            unfinished: Unfinished::default(),
            sft: SftConfig::default(),
        }
    }
}

/// `W + distillation * dW_distillation + introspection * dW_introspection`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MergeRecipe {
    /// Weight of the distillation adapter. Default 1.0 (paper).
    pub distillation: f64,
    /// Weight of the introspection adapter. Default 0.25 (paper).
    pub introspection: f64,
}

impl Default for MergeRecipe {
    fn default() -> Self {
        Self { distillation: 1.0, introspection: 0.25 }
    }
}

/// What is asked of the trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationRecipe {
    /// How sample replies to the held-out questions are drawn; base and persona alike.
    pub sampling: Sampling,
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self { sampling: Sampling { max_new_tokens: 128, ..Sampling::default() } }
    }
}

impl Recipe {
    /// The built-in recipe of that name, or a YAML file.
    ///
    /// # Errors
    /// [`PipelineError::Recipe`] naming the place, or [`PipelineError::Io`] if there is no such file.
    pub fn named_or_file(name: &str) -> Result<Self, PipelineError> {
        match name {
            "quick" => Self::parse(QUICK, "quick"),
            "paper" => Self::parse(PAPER, "paper"),
            file => {
                let path = Path::new(file);
                if !path.exists() {
                    return Err(PipelineError::Recipe {
                        path: PathBuf::from(file),
                        reason: "no such recipe; expected quick, paper or a YAML file".into(),
                    });
                }
                let text = std::fs::read_to_string(path)
                    .map_err(|source| PipelineError::Io { path: path.to_owned(), source })?;
                Self::parse(&text, file)
            }
        }
    }

    /// Reads a recipe from YAML and checks every range.
    ///
    /// # Errors
    /// [`PipelineError::Recipe`] with line and column, or naming the setting that is out of range.
    pub fn parse(text: &str, path: &str) -> Result<Self, PipelineError> {
        let wrong = |reason: String| PipelineError::Recipe { path: PathBuf::from(path), reason };
        let recipe: Self = serde_yaml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        recipe.validate().map_err(wrong)?;
        Ok(recipe)
    }

    /// The recipe with every default written out.
    ///
    /// # Errors
    /// [`PipelineError::Recipe`] if it has no YAML form.
    pub fn to_yaml(&self) -> Result<String, PipelineError> {
        serde_yaml::to_string(self).map_err(|e| PipelineError::Recipe {
            path: "recipe.yaml".into(),
            reason: e.to_string(),
        })
    }

    fn validate(&self) -> Result<(), String> {
        let at_least_one = |name: &str, value: usize| match value {
            0 => Err(format!("{name} is 0; expected at least 1")),
            _ => Ok(()),
        };
        at_least_one("data.samples_per_question", self.data.samples_per_question)?;
        at_least_one("data.batch_size", self.data.batch_size)?;
        at_least_one("introspection.turns", self.introspection.turns)?;
        let introspection = &self.introspection;
        let reflects = introspection.texts.reflections() && introspection.reflections_per_task > 0;
        let talks = introspection.texts.interactions() && introspection.conversations_per_kind > 0;
        if !reflects && !talks {
            return Err("introspection has neither reflections nor conversations".into());
        }
        for (name, limit) in [
            ("data.max_pairs", self.data.max_pairs),
            ("introspection.max_transcripts", introspection.max_transcripts),
        ] {
            at_least_one(name, limit.unwrap_or(1))?;
        }
        for (name, sampling) in [
            ("data.student", &self.data.student),
            ("data.teacher", &self.data.teacher),
            ("data.critique.sampling", &self.data.critique.sampling),
            ("introspection.reflection", &self.introspection.reflection),
            ("introspection.interaction", &self.introspection.interaction),
            ("evaluation.sampling", &self.evaluation.sampling),
        ] {
            at_least_one(&format!("{name}.max_new_tokens"), sampling.max_new_tokens)?;
            if !(sampling.temperature >= 0.0 && sampling.temperature.is_finite()) {
                return Err(format!("{name}.temperature must be a number of at least 0"));
            }
            if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
                return Err(format!("{name}.top_p must be above 0 and at most 1"));
            }
            if sampling.repetition_penalty <= 0.0 {
                return Err(format!("{name}.repetition_penalty must be above 0"));
            }
        }
        if let Some(expansion) = &self.data.expansion {
            at_least_one(
                "data.expansion.questions_per_assertion",
                expansion.questions_per_assertion,
            )?;
        }
        self.monitor.validate()?;
        self.lora.projections().map_err(|e| format!("lora: {e}"))?;
        self.distillation.validate().map_err(|e| format!("distillation: {e}"))?;
        self.introspection.sft.validate().map_err(|e| format!("introspection.sft: {e}"))?;
        self.on_policy.validate().map_err(|e| format!("on_policy: {e}"))
    }
}
