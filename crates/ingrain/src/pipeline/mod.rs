//! The main job: constitution to data to adapters to persona to figures, stage by stage.
//!
//! Every stage leaves files that a person can open, is declared to the manifest with its inputs, and is
//! reused when nothing that it depends on has changed. Killed at any instant, the same call goes on.

mod context;
mod data;
mod evaluation;
mod open;
mod persona;
mod stages;
mod subset;
mod training;
mod watch;

pub(crate) use context::Context;
pub(crate) use data::DataStages;
pub(crate) use open::{OpenRun, OpenTeacher, Purse};
pub(crate) use stages::{Stages, TokenCount};
pub(crate) use subset::nested;
pub(crate) use training::reference_cache;

use std::path::{Path, PathBuf};

use ingrain_chat::{ChatModel, Recorded};
use ingrain_constitution::PromptSet;
use ingrain_lm::{LocalModel, ModelSource};
use ingrain_report::Report;
use ingrain_run::{
    Interrupt, Manifest, Observer, StageSummary, Summary, peak_rss_bytes, write_json_atomic,
};
use ingrain_steering::ControlVector;
use serde_json::json;

use crate::answerer::ReplySource;
use crate::{Persona, PipelineError, Recipe};

/// Where the "chosen" replies come from.
#[derive(Clone)]
pub enum Teacher<'a> {
    /// Whom the recipe names (`data.teacher_source`), or else the replies recorded beside the persona.
    FromRecipe,
    /// Replies that were written down.
    Recorded(Recorded),
    /// A model that is given the constitution as system prompt; the name goes into the manifest.
    Model(&'a dyn ChatModel, String),
}

impl Teacher<'_> {
    /// A file of recorded replies.
    ///
    /// # Errors
    /// [`PipelineError::Chat`] naming the file, and the line where one is wrong.
    pub fn recorded(path: impl AsRef<Path>) -> Result<Self, PipelineError> {
        Ok(Self::Recorded(Recorded::open(path)?))
    }
}

/// One run of a recipe for a persona.
pub struct Pipeline<'a> {
    /// Every number.
    pub recipe: Recipe,
    /// Who the assistant should become.
    pub persona: Persona,
    /// Whether a persona that is marked `research_only` may be trained.
    pub allow_research_persona: bool,
    /// Who shows how.
    pub teacher: Teacher<'a>,
    /// What the models read: [`PromptSet::embedded`], or a folder's.
    pub prompts: PromptSet,
    /// `cpu`, `ndarray`, `cuda`, `cuda:N`.
    pub device: String,
    /// The run directory.
    pub out: PathBuf,
    /// Whether finished work found there is used.
    pub resume: bool,
    /// Told what happens.
    pub observer: &'a dyn Observer,
    /// Raised to stop at the next safe point.
    pub interrupt: Interrupt,
}

impl Pipeline<'_> {
    /// Runs every stage that is not finished yet, and writes a dataset card (`README.md`), `summary.json` and
    /// `report.html`.
    ///
    /// # Errors
    /// [`PipelineError::Interrupted`] after a request to stop; otherwise that of the stage that
    /// failed. What is finished stays.
    pub fn run(&self) -> Result<Summary, PipelineError> {
        self.can_measure()?;
        let (context, mut manifest) = self.open()?;
        context.data(&mut manifest)?;
        let heldout = context.heldout_pairs(&mut manifest)?;
        let distilled = context.distillation(&mut manifest)?;
        if self.recipe.start_from.introspection_adapter.is_none() {
            context.introspection_data(&mut manifest, &distilled)?;
        }
        context.dataset_card()?;
        let introspection = context.introspection(&mut manifest, &distilled)?;
        let persona = context.persona(&mut manifest, &distilled, &introspection)?;
        let evaluated = context.evaluation(&mut manifest, &heldout, &distilled, &persona)?;

        let stages: Vec<StageSummary> = manifest
            .stages()
            .iter()
            .map(|s| StageSummary::new(s.name.clone(), s.seconds, s.tokens))
            .collect();
        let summary = Summary {
            seconds_total: stages.iter().map(|s| s.seconds).sum(),
            peak_rss_bytes: peak_rss_bytes(),
            stages,
            heldout: evaluated.heldout,
            perplexity: evaluated.perplexity,
            samples: evaluated.samples,
        };
        write_json_atomic(context.run.file("summary.json"), &summary)?;
        Report::open(&[context.run.path()])?.write(context.run.path())?;
        Ok(summary)
    }

    /// Locks the run directory, loads the model, and writes the resolved recipe down.
    pub(crate) fn open(&self) -> Result<(Context<'_>, Manifest), PipelineError> {
        let (recipe, persona) = (&self.recipe, &self.persona);
        let opened = OpenRun {
            recipe,
            persona,
            prompts: &self.prompts,
            allow_research_persona: self.allow_research_persona,
            device: &self.device,
            out: &self.out,
            resume: self.resume,
        };
        let (run, mut manifest) = opened.open()?;
        let device = ingrain_lm::device(&self.device)?;
        let files = recipe.model.parse::<ModelSource>()?.resolve(self.observer)?;
        let mut model = LocalModel::load(&files, &device)?;
        model.interrupt = self.interrupt.clone();
        manifest.set_fact("model", json!(model.identity))?;
        let direction = self.direction(&model)?;
        let purse = Purse::of(recipe)?;
        let opening = purse.opening(&run, &self.device, self.observer, &self.interrupt);
        let teacher = OpenTeacher::open(&self.teacher, recipe, persona, &opening)?;
        let student = recipe.data.student_source.as_ref();
        let student = student.map(|source| source.open("student", &opening)).transpose()?;
        let stages = Stages {
            recipe,
            persona,
            prompts: &self.prompts,
            model: serde_json::to_string(&model.identity).unwrap_or_default(),
            observer: self.observer,
            interrupt: &self.interrupt,
        };
        let device = &self.device;
        let context = Context { stages, model, run, teacher, student, purse, device, direction };
        Ok((context, manifest))
    }

    /// The control vector that the recipe's monitor names; an error if it is another model's.
    fn direction(&self, model: &LocalModel) -> Result<Option<ControlVector>, PipelineError> {
        let Some(path) = &self.recipe.monitor.vector else { return Ok(None) };
        let vector = ControlVector::load(path)?;
        vector.steering(&model.model, 1.0)?;
        Ok(Some(vector))
    }

    /// Whether there will be pairs to measure on: asked for at the end, and better missed now than after the
    /// training.
    pub(crate) fn can_measure(&self) -> Result<(), PipelineError> {
        let teacher = match (&self.teacher, &self.recipe.data.teacher_source) {
            (Teacher::FromRecipe, Some(ReplySource::Recorded(path))) => Teacher::recorded(path)?,
            (Teacher::FromRecipe, Some(_)) => return Ok(()),
            (Teacher::FromRecipe, None) => {
                self.persona.recorded_teacher().unwrap_or(Teacher::FromRecipe)
            }
            (given, _) => given.clone(),
        };
        teacher.can_measure(&self.persona, self.recipe.seed)
    }
}
