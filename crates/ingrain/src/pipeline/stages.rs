//! What all stages of a run are declared and run with.

use ingrain_chat::Message;
use ingrain_constitution::PromptSet;
use ingrain_run::{Event, Interrupt, Manifest, Observer, StagePlan, StageRun};
use ingrain_tokenizer::ChatTokenizer;

use crate::{Persona, PipelineError, Recipe};

/// Recipe, persona and observers of a run, without any model.
#[derive(Clone)]
pub(crate) struct Stages<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) persona: &'a Persona,
    pub(crate) prompts: &'a PromptSet,
    /// Which model is trained, or answers in its place; as JSON.
    pub(crate) model: String,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
}

impl Stages<'_> {
    /// A stage's plan, with what every stage depends on.
    pub(crate) fn plan(&self, name: &str) -> Result<StagePlan, PipelineError> {
        Ok(StagePlan::new(name)
            .json("seed", &self.recipe.seed)?
            .text("model", &self.model)
            .text("constitution", &self.persona.constitution().content_hash())
            .text("prompt_set", &self.prompts.hash()))
    }

    /// Runs a stage under the manifest and turns a request to stop into the one error for it.
    pub(crate) fn stage(
        &self,
        manifest: &mut Manifest,
        plan: &StagePlan,
        work: impl FnOnce(&StageRun<'_>) -> Result<(), PipelineError>,
    ) -> Result<(), PipelineError> {
        let result = manifest.run_stage(plan, self.observer, work);
        match result {
            Ok(_) => Ok(()),
            Err(_) if self.interrupt.is_requested() => Err(PipelineError::Interrupted),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn note(&self, stage: &str, message: String) {
        self.observer.on_event(&Event::Note { stage: stage.to_owned(), message });
    }
}

/// How tokens of conversations are counted.
#[derive(Clone, Copy)]
pub(crate) enum TokenCount<'a> {
    /// By the tokenizer of the model that is trained.
    Exact(&'a ChatTokenizer),
    /// At four bytes a token and four tokens a message, where that tokenizer is not here.
    Guess,
}

impl TokenCount<'_> {
    /// Tokens of a rendered conversation; more than any limit if it cannot be rendered.
    pub(crate) fn of(self, messages: &[Message]) -> usize {
        match self {
            Self::Exact(tokenizer) => {
                tokenizer.encode_turns(messages).map_or(usize::MAX, |spans| spans.ids.len())
            }
            Self::Guess => messages.iter().map(|m| m.content.len().div_ceil(4) + 4).sum(),
        }
    }
}
