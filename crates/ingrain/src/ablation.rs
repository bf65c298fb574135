//! Switches of the introspection stage: the paper's ablations.

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionAuthor {
    /// The distilled model (the method).
    #[default]
    Distilled,
    /// The model before distillation, prompted by the constitution.
    Base,
    /// The teacher, prompted by the constitution; it must be a model, recorded replies hold no such
    /// texts.
    Teacher,
    /// Another model, as `model` names one: a built-in alias, an HF directory, a `.gguf` file.
    Model(String),
}
