//! The main job: constitution to data to adapters to persona to figures, stage by stage.
//!
//! Every stage leaves files that a person can open, is declared to the manifest with its inputs, and is
//! reused when nothing that it depends on has changed. Killed at any instant, the same call goes on.

mod context;
mod data;
mod evaluation;
mod persona;
mod stages;
mod subset;
mod training;
mod watch;

pub(crate) use context::{Context, OpenTeacher, Purse};
pub(crate) use data::DataStages;
pub(crate) use stages::{Stages, TokenCount};
pub(crate) use subset::nested;
pub(crate) use training::reference_cache;

use std::path::{Path, PathBuf};

use ingrain_chat::{ChatModel, Recorded};
use ingrain_constitution::{Contribution, PromptSet};
use ingrain_lm::{LocalModel, ModelSource};
use ingrain_report::Report;
use ingrain_run::{
    Interrupt, Manifest, Observer, RunDir, StageSummary, Summary, peak_rss_bytes, write_atomic,
    write_json_atomic,
};
use ingrain_steering::ControlVector;
use serde_json::json;

use crate::answerer::Opening;
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
    /// Runs every stage that is not finished yet, and writes `summary.json` and
    /// `report.html`.
    ///
    /// # Errors
    /// [`PipelineError::Interrupted`] after a request to stop; otherwise that of the stage that
    /// failed. What is finished stays.
    pub fn run(&self) -> Result<Summary, PipelineError> {
        // Asked for at the end, and better missed now than after the training.
        self.persona.heldout_pairs()?;
        let (context, mut manifest) = self.open()?;
        context.data(&mut manifest)?;
        let distilled = context.distillation(&mut manifest)?;
        if self.recipe.start_from.introspection_adapter.is_none() {
            context.introspection_data(&mut manifest, &distilled)?;
        }
        let introspection = context.introspection(&mut manifest, &distilled)?;
        let persona = context.persona(&mut manifest, &distilled, &introspection)?;
        let evaluated = context.evaluation(&mut manifest, &distilled, &persona)?;

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
        self.persona.permit_training(self.allow_research_persona)?;
        let run = RunDir::open(&self.out)?;
        let mut manifest = Manifest::open(run.path())?;
        if !self.resume {
            manifest.forget_all()?;
        }
        write_atomic(run.file("recipe.yaml"), self.recipe.to_yaml()?.as_bytes())?;
        let constitution = self.persona.constitution().to_yaml();
        write_atomic(run.file("constitution.yaml"), constitution.as_bytes())?;
        let device = ingrain_lm::device(&self.device)?;
        let files = self.recipe.model.parse::<ModelSource>()?.resolve(self.observer)?;
        let mut model = LocalModel::load(&files, &device)?;
        model.interrupt = self.interrupt.clone();
        self.set_facts(&mut manifest, &model)?;
        let direction = self.direction(&model)?;
        let purse = Purse::of(&self.recipe)?;
        let opening = Opening {
            out: run.path(),
            device: &self.device,
            prices: &purse.prices,
            account: &purse.account,
            observer: self.observer,
            interrupt: &self.interrupt,
        };
        let data = &self.recipe.data;
        let teacher = match (&self.teacher, &data.teacher_source) {
            (Teacher::FromRecipe, Some(source)) => {
                OpenTeacher::Opened(source.open("teacher", &opening)?)
            }
            (Teacher::FromRecipe, None) => OpenTeacher::Given(self.persona.recorded_teacher()?),
            (given, _) => OpenTeacher::Given(given.clone()),
        };
        let student = data.student_source.as_ref().map(|source| source.open("student", &opening));
        let student = student.transpose()?;
        let context = Context {
            recipe: &self.recipe,
            persona: &self.persona,
            prompts: &self.prompts,
            model,
            run,
            observer: self.observer,
            interrupt: &self.interrupt,
            teacher,
            student,
            purse,
            device: &self.device,
            direction,
        };
        Ok((context, manifest))
    }

    /// The control vector that the recipe's monitor names; an error if it is another model's.
    fn direction(&self, model: &LocalModel) -> Result<Option<ControlVector>, PipelineError> {
        let Some(path) = &self.recipe.monitor.vector else { return Ok(None) };
        let vector = ControlVector::load(path)?;
        vector.steering(&model.model, 1.0)?;
        Ok(Some(vector))
    }

    /// What the manifest says of the run as a whole.
    fn set_facts(&self, manifest: &mut Manifest, model: &LocalModel) -> Result<(), PipelineError> {
        let Persona { blend, parts } = &self.persona;
        let provenance = |(a, from): (usize, &Contribution)| {
            json!({"assertion": a, "persona": from.persona, "of_its_own": from.assertion,
                "share": from.share})
        };
        manifest.set_version("ingrain", env!("CARGO_PKG_VERSION"))?;
        manifest.set_fact("model", json!(model.identity))?;
        manifest.set_fact("device", self.device.as_str())?;
        manifest.set_fact("persona", self.persona.name())?;
        manifest.set_fact(
            "prompt_set",
            json!({"version": self.prompts.version(), "sha256": self.prompts.hash()}),
        )?;
        if parts.len() > 1 {
            let provenance: Vec<_> = blend.provenance.iter().enumerate().map(provenance).collect();
            manifest.set_fact("composition", json!({"parts": parts, "provenance": provenance}))?;
        }
        Ok(())
    }
}
