//! Stages that make data: prompts, replies, pairs, reflections, conversations, transcripts.
//!
//! They know no trainer: [`crate::DataRun`] runs them alone.

mod author;
mod heldout;
mod introspection;
mod pairs;
mod prompts;
mod replies;

use ingrain_chat::{ChatModel, Sampling};
use ingrain_data::{DataError, Generation, PreferencePair, StageReport};
use ingrain_lm::Adapter;
use ingrain_run::{Manifest, StageRun, read_jsonl, write_atomic};
use serde::de::IgnoredAny;

use super::stages::{Stages, TokenCount};
use super::{Context, Teacher};
use crate::PipelineError;
use crate::card::dataset_card;
use crate::recipe::{ChosenReplies, RejectedReplies};

/// Requests that a server gets in one call at least, so that few of its slots idle at a call's end.
const SERVER_BATCH: usize = 4096;

/// The data stages of one run.
pub(crate) struct DataStages<'a> {
    pub(crate) stages: Stages<'a>,
    /// Who shows how.
    pub(crate) teacher: Teacher<'a>,
    /// Who gives the plain replies.
    pub(crate) student: &'a dyn ChatModel,
    /// What tells the student apart, where it is not the model that is trained.
    pub(crate) student_name: Option<&'a str>,
    pub(crate) tokens: TokenCount<'a>,
}

impl Context<'_> {
    /// The data stages with this run's models.
    pub(crate) fn data_stages(&self) -> DataStages<'_> {
        let (student, student_name): (&dyn ChatModel, _) = match &self.student {
            Some(answerer) => (answerer.model(), Some(answerer.name())),
            None => (&self.model, None),
        };
        DataStages {
            stages: self.stages.clone(),
            teacher: self.teacher(),
            student,
            student_name,
            tokens: TokenCount::Exact(&self.model.tokenizer),
        }
    }

    /// Everything up to `pairs.jsonl`.
    pub(crate) fn data(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        self.data_stages().all_to_pairs(manifest)
    }

    /// Pairs to measure on: those that the persona brings, or `heldout.jsonl`.
    pub(crate) fn heldout_pairs(
        &self,
        manifest: &mut Manifest,
    ) -> Result<Vec<PreferencePair>, PipelineError> {
        if self.persona.missing_heldout().is_none() {
            return self.persona.heldout_pairs();
        }
        self.data_stages().heldout(manifest)?;
        Ok(read_jsonl(self.run.file(heldout::HELDOUT))?)
    }

    /// `critique.jsonl`, which stands on `prompts.jsonl` and `student.jsonl`.
    pub(crate) fn critique(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        self.data_stages().only_critique(manifest)
    }

    /// `reflections.jsonl`, `interactions.jsonl`, `introspection.jsonl`, by the distilled model unless the
    /// recipe names another author.
    pub(crate) fn introspection_data(
        &self,
        manifest: &mut Manifest,
        distilled: &Adapter,
    ) -> Result<(), PipelineError> {
        let stages = self.data_stages();
        let adapter = self.run.file("distillation");
        let folded = || Ok(self.model.with_weights(self.model.model.clone().fold(distilled)));
        let author = || stages.author(&self.opening(), folded, &adapter);
        stages.introspection(manifest, author, &["distillation"])
    }

    /// `README.md`: what the data are, where they came from, what they are like.
    pub(crate) fn dataset_card(&self) -> Result<(), PipelineError> {
        let count = |name: &str| read_jsonl::<IgnoredAny>(self.run.file(name)).map(|all| all.len());
        let pairs = count("pairs.jsonl")?;
        let transcripts = match self.recipe.start_from.introspection_adapter {
            Some(_) => None,
            None => Some(count("introspection.jsonl")?),
        };
        let quality = self.read_json("quality.json")?;
        let card = dataset_card(self.persona, &quality, pairs, transcripts);
        Ok(write_atomic(self.run.file("README.md"), card.as_bytes())?)
    }
}

impl DataStages<'_> {
    /// `prompts.jsonl`, `teacher.jsonl`, `student.jsonl` or what takes their place, `pairs.jsonl`.
    pub(crate) fn all_to_pairs(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let recipe = self.stages.recipe;
        if let Some(file) = &recipe.start_from.pairs {
            return self.pairs_from(manifest, file);
        }
        let data = &recipe.data;
        let prompts = self.prompts(manifest)?;
        if data.chosen == ChosenReplies::Teacher {
            self.teacher(manifest, &prompts)?;
        }
        let revised = data.chosen == ChosenReplies::Revision;
        if revised || data.rejected == RejectedReplies::Student {
            self.student(manifest, &prompts)?;
        }
        if data.rejected == RejectedReplies::Opposite {
            self.opposite(manifest, &prompts)?;
        }
        if revised {
            self.critique(manifest, &prompts)?;
        }
        self.pairs(manifest, &prompts)
    }

    /// The critique stage and what it stands on.
    fn only_critique(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let prompts = self.prompts(manifest)?;
        self.student(manifest, &prompts)?;
        self.critique(manifest, &prompts)
    }

    /// Asks, and asks a server once more for what failed; what still fails is told and left out.
    fn ask(
        &self,
        generation: &Generation<'_>,
        mut once: impl FnMut() -> Result<StageReport, DataError>,
    ) -> Result<(), PipelineError> {
        let mut failed = once()?.failed.len();
        if failed > 0 && !generation.model.batch_matters() {
            failed = once()?.failed.len();
        }
        if failed > 0 {
            let message = format!("{failed} requests failed for good; their records are missing");
            self.stages.note(generation.stage, message);
        }
        Ok(())
    }

    fn generation<'g>(
        &'g self,
        stage: &'g str,
        model: &'g dyn ChatModel,
        sampling: &Sampling,
        run: &'g StageRun<'_>,
    ) -> Generation<'g> {
        let batch_size = self.stages.recipe.data.batch_size;
        Generation {
            stage,
            model,
            sampling: sampling.clone(),
            seed: self.stages.recipe.seed,
            batch_size: match model.batch_matters() {
                true => batch_size,
                false => batch_size.max(SERVER_BATCH),
            },
            observer: run,
            interrupt: self.stages.interrupt,
        }
    }

    /// The teacher as a model that can be asked anything.
    fn teacher_model(&self, what_for: &str) -> Result<&dyn ChatModel, PipelineError> {
        match &self.teacher {
            Teacher::Model(model, _) => Ok(*model),
            _ => Err(PipelineError::Recipe {
                path: what_for.into(),
                reason:
                    "the teacher is a file of recorded replies, which holds no such texts; give a \
                         model as teacher, or change this setting"
                        .into(),
            }),
        }
    }

    /// What the teacher is, for the manifest.
    fn teacher_key(&self) -> Result<String, PipelineError> {
        Ok(match &self.teacher {
            Teacher::FromRecipe => String::new(),
            Teacher::Recorded(recorded) => json(&recorded.lines())?,
            Teacher::Model(_, name) => name.clone(),
        })
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, PipelineError> {
    serde_json::to_string(value)
        .map_err(|e| PipelineError::Recipe { path: "recipe".into(), reason: e.to_string() })
}
