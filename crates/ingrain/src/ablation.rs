//! Switches of the introspection stage: the paper's ablations.

#[cfg(feature = "openai")]
use ingrain_chat::openai::OpenAiConfig;
use serde::{Deserialize, Serialize};

/// What the introspection adapter is trained on top of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionBase {
    /// The distilled model, its adapter folded into the weights; a fresh adapter learns (the paper's
    /// way).
    #[default]
    Folded,
    /// The distillation adapter itself goes on learning; `introspection/` then holds both. The merge
    /// takes what it learnt since as the introspection update.
    Adapter,
}

/// Which of the model's own texts it learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionTexts {
    /// Reflections and conversations.
    #[default]
    Both,
    /// Reflections only.
    Reflections,
    /// Conversations between two copies only.
    Interactions,
}

impl IntrospectionTexts {
    /// Whether reflections are among them.
    #[must_use]
    pub fn reflections(self) -> bool {
        self != Self::Interactions
    }

    /// Whether conversations are among them.
    #[must_use]
    pub fn interactions(self) -> bool {
        self != Self::Reflections
    }
}

/// Who writes the introspective texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionAuthor {
    /// The distilled model, run here (the method).
    #[default]
    Distilled,
    /// The distilled model behind servers of its base that load adapters while they run (vLLM).
    #[cfg(feature = "openai")]
    Served(Box<ServedStudent>),
    /// The model before distillation, prompted by the constitution.
    Base,
    /// The teacher, prompted by the constitution; it must be a model, recorded replies hold no such
    /// texts.
    Teacher,
    /// Another model, as `model` names one: a built-in alias, an HF directory, a `.gguf` file.
    Model(String),
}

impl IntrospectionAuthor {
    /// What tells authors apart that write differently; where servers are is no part of it.
    pub(crate) fn key(&self) -> Result<String, ingrain_run::RunError> {
        let named = match self {
            #[cfg(feature = "openai")]
            Self::Served(served) => Self::Model(served.endpoint.model.clone()),
            other => other.clone(),
        };
        serde_json::to_string(&named).map_err(|e| ingrain_run::RunError::Unserializable {
            path: "introspection.author".into(),
            reason: e.to_string(),
        })
    }
}

/// Servers of the base model, and where they find the distilled adapter.
#[cfg(feature = "openai")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServedStudent {
    /// The servers; `model` is the base's name there.
    pub endpoint: OpenAiConfig,
    /// The folder `distillation` of the run directory, as the servers see it. Default: as it is here.
    pub adapter_path: Option<String>,
}
