//! The data stages alone: prompts, replies and pairs without training anything, and what they will cost.

mod cast;
mod estimate;

use std::path::{Path, PathBuf};

use ingrain_chat::{ChatModel, Spent};
use ingrain_constitution::PromptSet;
use ingrain_data::{FilterReport, QualityReport, Transcript};
use ingrain_run::{
    Interrupt, JsonlFile, Manifest, Observer, RunDir, write_atomic, write_json_atomic,
};
use serde::{Deserialize, Serialize};

use crate::answerer::Answerer;
use crate::card::dataset_card;
use crate::pipeline::{DataStages, OpenRun, Purse, Stages, Teacher, TokenCount};
use crate::{Persona, PipelineError, Recipe};
use cast::{Cast, NOBODY, no_adapter};

pub(crate) use cast::tokenizer;

pub use estimate::Assumptions;

/// One run of a recipe's data stages.
pub struct DataRun<'a> {
    /// Who answers what, and how.
    pub recipe: Recipe,
    /// Who the assistant should become.
    pub persona: Persona,
    /// Whether data may be made for a persona that is marked `research_only`.
    pub allow_research_persona: bool,
    /// What the models read.
    pub prompts: PromptSet,
    /// `cpu`, `ndarray`, `cuda`, `cuda:N`.
    pub device: String,
    /// The run directory. [`crate::Pipeline`] goes on from it.
    pub out: PathBuf,
    /// Whether finished work found there is used.
    pub resume: bool,
    /// Whether reflections and conversations are made too.
    pub introspection: bool,
    /// The distilled adapter, where the recipe has the distilled model write them.
    pub adapter: Option<PathBuf>,
    /// Told what happens.
    pub observer: &'a dyn Observer,
    /// Raised to stop at the next safe point.
    pub interrupt: Interrupt,
}

/// What a run of the data stages came to: `data.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// Pairs in `pairs.jsonl`.
    pub pairs: usize,
    /// What the filter left out; none for pairs that were made elsewhere.
    pub filter: Option<FilterReport>,
    /// What the pairs are like.
    pub quality: QualityReport,
    /// Conversations in `introspection.jsonl`, if they were made.
    pub transcripts: Option<usize>,
    /// What models behind servers took, earlier processes included.
    pub spent: Spent,
}

impl DataRun<'_> {
    /// Runs every stage that is not finished yet, and writes `quality.json`, `data.json` and a dataset card
    /// (`README.md`) beside the data.
    ///
    /// # Errors
    /// [`PipelineError::Interrupted`] after a request to stop; otherwise that of the stage that failed.
    /// What is finished stays.
    pub fn run(&self) -> Result<DataSummary, PipelineError> {
        let opened = OpenRun {
            recipe: &self.recipe,
            persona: &self.persona,
            prompts: &self.prompts,
            allow_research_persona: self.allow_research_persona,
            device: &self.device,
            out: &self.out,
            resume: self.resume,
        };
        let (run, mut manifest) = opened.open()?;
        let purse = Purse::of(&self.recipe)?;
        let opening = purse.opening(&run, &self.device, self.observer, &self.interrupt);
        let cast = self.cast(&opening)?;
        manifest.set_fact("student", cast.student.as_ref().map_or("none", Answerer::name))?;
        let stages = self.data_stages(&cast);
        stages.all_to_pairs(&mut manifest)?;
        self.heldout(&cast, &stages, &mut manifest)?;
        if self.introspection {
            let author = || match &self.adapter {
                Some(adapter) => stages.author(&opening, || cast.distilled(adapter), adapter),
                None => stages.author(&opening, no_adapter, Path::new("")),
            };
            stages.introspection(&mut manifest, author, &[])?;
        }
        let summary = self.summary(&run, purse.account.spent())?;
        write_json_atomic(run.file("data.json"), &summary)?;
        let card =
            dataset_card(&self.persona, &summary.quality, summary.pairs, summary.transcripts);
        write_atomic(run.file("README.md"), card.as_bytes())?;
        Ok(summary)
    }

    /// Held-out pairs for a persona that brings none, where whom they need is here; else [`crate::Pipeline`]
    /// makes them, or says what is missing.
    fn heldout(
        &self,
        cast: &Cast<'_>,
        stages: &DataStages<'_>,
        manifest: &mut Manifest,
    ) -> Result<(), PipelineError> {
        if self.persona.missing_heldout().is_none() || cast.student.is_none() {
            return Ok(());
        }
        match stages.teacher.can_measure(&self.persona, self.recipe.seed) {
            Ok(()) => stages.heldout(manifest),
            Err(error) => {
                stages.stages.note("heldout", error.to_string());
                Ok(())
            }
        }
    }

    fn data_stages<'s>(&'s self, cast: &'s Cast<'_>) -> DataStages<'s> {
        let tokens = cast.tokenizer.as_deref().map_or(TokenCount::Guess, TokenCount::Exact);
        let (teacher, model) = (cast.teacher.teacher(), cast.model.clone());
        self.stages_of(teacher, cast.student.as_ref(), tokens, model, self.observer)
    }

    fn stages_of<'s>(
        &'s self,
        teacher: Teacher<'s>,
        student: Option<&'s Answerer>,
        tokens: TokenCount<'s>,
        model: String,
        observer: &'s dyn Observer,
    ) -> DataStages<'s> {
        let named = self.recipe.data.student_source.is_some();
        DataStages {
            stages: Stages {
                recipe: &self.recipe,
                persona: &self.persona,
                prompts: &self.prompts,
                model,
                observer,
                interrupt: &self.interrupt,
            },
            teacher,
            student: student.map_or(&NOBODY as &dyn ChatModel, Answerer::model),
            student_name: student.filter(|_| named).map(Answerer::name),
            tokens,
        }
    }

    fn summary(&self, run: &RunDir, spent: Spent) -> Result<DataSummary, PipelineError> {
        let read = |name: &str| -> Result<Vec<u8>, PipelineError> {
            let path = run.file(name);
            std::fs::read(&path).map_err(|source| PipelineError::Io { path, source })
        };
        let malformed = |name: &str, e: serde_json::Error| PipelineError::Recipe {
            path: run.file(name),
            reason: e.to_string(),
        };
        let quality: QualityReport = serde_json::from_slice(&read("quality.json")?)
            .map_err(|e| malformed("quality.json", e))?;
        let filter = match self.recipe.start_from.pairs {
            Some(_) => None,
            None => Some(
                serde_json::from_slice(&read("pairs.report.json")?)
                    .map_err(|e| malformed("pairs.report.json", e))?,
            ),
        };
        let transcripts = match self.introspection {
            true => Some(JsonlFile::<Transcript>::open(run.file("introspection.jsonl"))?.len()),
            false => None,
        };
        Ok(DataSummary { pairs: quality.pairs, filter, quality, transcripts, spent })
    }
}
