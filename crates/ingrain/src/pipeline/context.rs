//! What the stages of a whole run share: recipe, models, run directory.

use std::ops::Deref;

use ingrain_lm::LocalModel;
use ingrain_run::RunDir;
use ingrain_steering::ControlVector;

use super::Stages;
use super::open::{OpenTeacher, Purse};
use crate::PipelineError;
use crate::answerer::{Answerer, Opening};

/// What the stages share: all that [`Stages`] has, and the models.
pub(crate) struct Context<'a> {
    pub(crate) stages: Stages<'a>,
    pub(crate) model: LocalModel,
    pub(crate) run: RunDir,
    pub(super) teacher: OpenTeacher<'a>,
    /// Who answers in the model's place, where the recipe names somebody.
    pub(super) student: Option<Answerer>,
    pub(super) purse: Purse,
    pub(super) device: &'a str,
    /// What the recipe's monitor reads along.
    pub(super) direction: Option<ControlVector>,
}

impl<'a> Deref for Context<'a> {
    type Target = Stages<'a>;

    fn deref(&self) -> &Stages<'a> {
        &self.stages
    }
}

impl Context<'_> {
    /// Who shows how.
    pub(crate) fn teacher(&self) -> super::Teacher<'_> {
        self.teacher.teacher()
    }

    /// The system prompt of whoever shows how.
    pub(crate) fn teacher_system(&self) -> Result<String, PipelineError> {
        let constitution = self.persona.constitution();
        Ok(self.prompts.teacher_system(constitution, &self.recipe.assistant_name)?)
    }

    /// What another model of this run is opened with.
    pub(crate) fn opening(&self) -> Opening<'_> {
        self.purse.opening(&self.run, self.device, self.observer, self.interrupt)
    }
}
