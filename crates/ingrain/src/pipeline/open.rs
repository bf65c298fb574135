//! Opening a run directory, for the data stages alone and for the whole job alike.

use std::path::Path;

use ingrain_chat::{Account, Prices, Spent};
use ingrain_constitution::{Contribution, PromptSet};
use ingrain_run::{Interrupt, Manifest, Observer, RunDir, write_atomic};
use serde_json::json;

use super::Teacher;
use crate::answerer::{Answerer, Opening};
use crate::{Persona, PipelineError, Recipe};

/// What a run directory is opened for.
pub(crate) struct OpenRun<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) persona: &'a Persona,
    pub(crate) prompts: &'a PromptSet,
    pub(crate) allow_research_persona: bool,
    pub(crate) device: &'a str,
    pub(crate) out: &'a Path,
    pub(crate) resume: bool,
}

impl OpenRun<'_> {
    /// Locks the directory, writes recipe and constitution down, and says in the manifest what the run is.
    pub(crate) fn open(&self) -> Result<(RunDir, Manifest), PipelineError> {
        self.persona.permit_training(self.allow_research_persona)?;
        let run = RunDir::open(self.out)?;
        let mut manifest = Manifest::open(run.path())?;
        if !self.resume {
            manifest.forget_all()?;
        }
        write_atomic(run.file("recipe.yaml"), self.recipe.to_yaml()?.as_bytes())?;
        let constitution = self.persona.constitution().to_yaml();
        write_atomic(run.file("constitution.yaml"), constitution.as_bytes())?;
        self.set_facts(&mut manifest)?;
        Ok((run, manifest))
    }

    fn set_facts(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let Persona { blend, parts } = self.persona;
        let provenance = |(a, from): (usize, &Contribution)| {
            json!({"assertion": a, "persona": from.persona, "of_its_own": from.assertion,
                "share": from.share})
        };
        manifest.set_version("ingrain", env!("CARGO_PKG_VERSION"))?;
        manifest.set_fact("device", self.device)?;
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

/// A teacher that the caller gave, or one that was opened for this run.
pub(crate) enum OpenTeacher<'a> {
    Given(Teacher<'a>),
    Opened(Answerer),
}

impl<'a> OpenTeacher<'a> {
    /// The one that was given, or else the recipe's, or else the persona's recorded one.
    pub(crate) fn open(
        given: &Teacher<'a>,
        recipe: &Recipe,
        persona: &Persona,
        opening: &Opening<'_>,
    ) -> Result<Self, PipelineError> {
        Ok(match (given, &recipe.data.teacher_source) {
            (Teacher::FromRecipe, Some(source)) => Self::Opened(source.open("teacher", opening)?),
            (Teacher::FromRecipe, None) => Self::Given(persona.recorded_teacher()?),
            (given, _) => Self::Given(given.clone()),
        })
    }

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

    /// What models of a run are opened with.
    pub(crate) fn opening<'o>(
        &'o self,
        run: &'o RunDir,
        device: &'o str,
        observer: &'o dyn Observer,
        interrupt: &'o Interrupt,
    ) -> Opening<'o> {
        let (prices, account) = (&self.prices, &self.account);
        Opening { out: run.path(), device, prices, account, observer, interrupt }
    }
}
