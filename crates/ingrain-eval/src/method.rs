//! Who is evaluated: models, and what they are told first.

use ingrain_chat::{ChatModel, Scorer};

/// A way to give an assistant a character: a model, with or without a system prompt.
#[derive(Clone)]
pub struct Method<'a> {
    /// What it is called in reports: `distilled`, `system prompt`, ...
    pub name: &'a str,
    /// Who answers.
    pub model: &'a dyn ChatModel,
    /// What the model is told first.
    pub system: Option<String>,
}

/// The same for what is measured by log-probabilities of given turns.
#[derive(Clone)]
pub struct ScoredMethod<'a> {
    /// What it is called in reports.
    pub name: &'a str,
    /// Who scores.
    pub scorer: &'a dyn Scorer,
    /// What the model is told first.
    pub system: Option<String>,
}
