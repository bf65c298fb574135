//! What the stages of a whole run share: recipe, models, run directory.

use ingrain_chat::{Account, Prices, Spent};
use ingrain_constitution::PromptSet;
use ingrain_lm::LocalModel;
use ingrain_run::{Interrupt, Manifest, Observer, RunDir, StagePlan, StageRun};
use ingrain_steering::ControlVector;

use super::{Stages, Teacher};
use crate::answerer::{Answerer, Opening};
use crate::{Persona, PipelineError, Recipe};

/// What the stages share.
pub(crate) struct Context<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) persona: &'a Persona,
    pub(crate) prompts: &'a PromptSet,
    pub(crate) model: LocalModel,
    pub(crate) run: RunDir,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
    pub(super) teacher: OpenTeacher<'a>,
    /// Who answers in the model's place, where the recipe names somebody.
    pub(super) student: Option<Answerer>,
    pub(super) purse: Purse,
    pub(super) device: &'a str,
    /// What the recipe's monitor reads along.
    pub(super) direction: Option<ControlVector>,
}

/// A teacher that the caller gave, or one that was opened for this run.
pub(crate) enum OpenTeacher<'a> {
    Given(Teacher<'a>),
    Opened(Answerer),
}

impl OpenTeacher<'_> {
    pub(crate) fn teacher(&self) -> Teacher<'_> {
        match self {
            Self::Given(teacher) => teacher.clone(),
            Self::Opened(answerer) => answerer.teacher(),
        }
    }
}

/// What a run's models cost, and may cost.
pub(crate) struct Purse {
    pub(crate) prices: Prices,
    pub(crate) account: Account,
}

impl Purse {
    pub(crate) fn of(recipe: &Recipe) -> Result<Self, PipelineError> {
        let prices = recipe.prices.as_ref().map(Prices::read).transpose()?.unwrap_or_default();
        Ok(Self { prices, account: Account::new(recipe.budget, Spent::default()) })
    }
}

impl Context<'_> {
    /// What the stages are declared and run with.
    pub(crate) fn stages(&self) -> Stages<'_> {
        Stages {
            recipe: self.recipe,
            persona: self.persona,
            prompts: self.prompts,
            model: serde_json::to_string(&self.model.identity).unwrap_or_default(),
            observer: self.observer,
            interrupt: self.interrupt,
        }
    }

    /// Who shows how.
    pub(crate) fn teacher(&self) -> Teacher<'_> {
        self.teacher.teacher()
    }

    /// The system prompt of whoever shows how.
    pub(crate) fn teacher_system(&self) -> Result<String, PipelineError> {
        let constitution = self.persona.constitution();
        Ok(self.prompts.teacher_system(constitution, &self.recipe.assistant_name)?)
    }

    /// What another model of this run is opened with.
    pub(crate) fn opening(&self) -> Opening<'_> {
        Opening {
            out: self.run.path(),
            device: self.device,
            prices: &self.purse.prices,
            account: &self.purse.account,
            observer: self.observer,
            interrupt: self.interrupt,
        }
    }

    /// See [`Stages::plan`].
    pub(crate) fn plan(&self, name: &str) -> Result<StagePlan, PipelineError> {
        self.stages().plan(name)
    }

    /// See [`Stages::stage`].
    pub(crate) fn stage(
        &self,
        manifest: &mut Manifest,
        plan: &StagePlan,
        work: impl FnOnce(&StageRun<'_>) -> Result<(), PipelineError>,
    ) -> Result<(), PipelineError> {
        self.stages().stage(manifest, plan, work)
    }

    pub(crate) fn note(&self, stage: &str, message: String) {
        self.stages().note(stage, message);
    }
}
