//! The choices that a prompt is given beside texts.

use serde::{Deserialize, Serialize};

/// What two copies of the assistant are told to do with their conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InteractionKind {
    /// Whatever they like.
    Free,
    /// To reflect on who they are.
    Leading,
}

impl InteractionKind {
    /// The word used in templates and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Leading => "leading",
        }
    }
}

/// Whether known defects of the released recipe are repaired or reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wording {
    /// Guidance reaches the self-interaction prompt, and names are filled in.
    #[default]
    Corrected,
    /// As released: no guidance in the self-interaction prompt, and a literal `{NAME}` in the
    /// system prompt with which conversations are saved.
    Faithful,
}

/// By what the model chooses between two traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceStance {
    /// The trait that feels most like itself.
    FeelsLike,
    /// The trait that it would most like to adopt.
    Adopt,
    /// At random: the control.
    Random,
}

impl PreferenceStance {
    /// The word used in templates and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FeelsLike => "feels_like",
            Self::Adopt => "adopt",
            Self::Random => "random",
        }
    }
}

/// One introspective task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReflectionTask {
    /// A short name for files and tables: `letter`.
    pub name: String,
    /// The user message.
    pub prompt: String,
}
