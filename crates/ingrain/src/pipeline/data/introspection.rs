//! Texts that a model writes about itself: reflections, conversations, and the set made of them.

use std::path::Path;

use ingrain_chat::{ChatModel, Sampling};
use ingrain_constitution::InteractionKind;
use ingrain_data::interchange::{
    read_reference_interactions, read_reference_reflections, scan_transcripts,
};
use ingrain_data::{
    Assembly, Conversation, DataError, InteractionPlan, InteractionTurn, Reply, each_interaction,
    self_reflection,
};
use ingrain_run::{
    JsonlFile, JsonlStore, Manifest, StagePlan, read_jsonl, write_json_atomic, write_jsonl,
    write_jsonl_with,
};

use super::DataStages;
use super::author::Author;
use crate::PipelineError;

impl DataStages<'_> {
    /// `reflections.jsonl`, `interactions.jsonl`, `introspection.jsonl`. `after` are the stages that the
    /// author stands on.
    pub(crate) fn introspection<'s>(
        &'s self,
        manifest: &mut Manifest,
        author: impl FnOnce() -> Result<Author<'s>, PipelineError>,
        after: &[&str],
    ) -> Result<(), PipelineError> {
        let start = &self.stages.recipe.start_from;
        if let Some(file) = &start.transcripts {
            return self.transcripts_from(manifest, file);
        }
        let author = match (&start.reflections, &start.interactions) {
            (Some(_), Some(_)) => None,
            _ => Some(author()?),
        };
        match (&start.reflections, &author) {
            (Some(file), _) => {
                let replies = read_jsonl::<Reply>(file);
                let replies = replies.or_else(|_| read_reference_reflections(file))?;
                self.taken_over(manifest, "reflections", &replies)?;
            }
            (None, Some(author)) => self.reflections(manifest, author.model(), after)?,
            (None, None) => {}
        }
        match (&start.interactions, &author) {
            (Some(file), _) => self.interactions_from(manifest, file)?,
            (None, Some(author)) => self.interactions(manifest, author.model(), after)?,
            (None, None) => {}
        }
        self.transcripts(manifest)
    }

    /// A stage in which the author writes, with all that its texts depend on.
    fn written(
        &self,
        name: &str,
        sampling: &Sampling,
        after: &[&str],
    ) -> Result<StagePlan, PipelineError> {
        let recipe = self.stages.recipe;
        let plan = self
            .stages
            .plan(name)?
            .json("sampling", sampling)?
            .text("author", &recipe.introspection.author.key()?)
            .json("batch_size", &recipe.data.batch_size)?;
        Ok(plan.after(after.iter().copied()))
    }

    fn reflections(
        &self,
        manifest: &mut Manifest,
        model: &dyn ChatModel,
        after: &[&str],
    ) -> Result<(), PipelineError> {
        let (all, recipe) = (self.stages.recipe, &self.stages.recipe.introspection);
        let constitution = self.stages.persona.constitution();
        let system = self.stages.prompts.reflection_system(constitution, &all.assistant_name)?;
        let tasks = self.stages.prompts.reflection_tasks()?;
        let samples = if recipe.texts.reflections() { recipe.reflections_per_task } else { 0 };
        let plan = self.written("reflections", &recipe.reflection, after)?;
        let plan = plan.json("samples", &samples)?.writes(["reflections.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            let mut store = JsonlStore::<Reply>::open(stage.file("reflections.jsonl"))?;
            let generation = self.generation("reflections", model, &recipe.reflection, stage);
            self.ask(&generation, || {
                self_reflection(&generation, &system, &tasks, samples, &mut store)
            })?;
            stage.count("reflections.jsonl", store.len() as u64);
            Ok(())
        })
    }

    /// Free and leading conversations, as many and as long as the recipe says.
    pub(crate) fn interaction_plans(&self) -> Result<Vec<InteractionPlan>, PipelineError> {
        let (all, recipe) = (self.stages.recipe, &self.stages.recipe.introspection);
        let talks = recipe.texts.interactions();
        let plan = |kind| {
            let plan = InteractionPlan::new(
                self.stages.prompts,
                self.stages.persona.constitution(),
                &all.assistant_name,
                kind,
                all.fidelity,
            )?;
            Ok(InteractionPlan {
                conversations: if talks { recipe.conversations_per_kind } else { 0 },
                turns: recipe.turns,
                unfinished: recipe.unfinished,
                ..plan
            })
        };
        [InteractionKind::Free, InteractionKind::Leading].into_iter().map(plan).collect()
    }

    fn interactions(
        &self,
        manifest: &mut Manifest,
        model: &dyn ChatModel,
        after: &[&str],
    ) -> Result<(), PipelineError> {
        let recipe = &self.stages.recipe.introspection;
        let plans = self.interaction_plans()?;
        let plan = self
            .written("interactions", &recipe.interaction, after)?
            .json("plans", &plans)?
            .writes(["interactions.turns.jsonl", "interactions.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            let mut turns =
                JsonlStore::<InteractionTurn>::open(stage.file("interactions.turns.jsonl"))?;
            let generation = self.generation("interactions", model, &recipe.interaction, stage);
            let mut count = 0;
            write_jsonl_with(stage.file("interactions.jsonl"), |put| {
                let take = |conversation| {
                    count += 1;
                    Ok(put(&conversation)?)
                };
                each_interaction(&generation, &plans, &mut turns, take).map(|_| ())
            })?;
            stage.count("interactions.jsonl", count);
            Ok(())
        })
    }

    /// `interactions.jsonl` out of files that were made elsewhere.
    fn interactions_from(&self, manifest: &mut Manifest, file: &Path) -> Result<(), PipelineError> {
        let reference = |file: &Path, kind| read_reference_interactions(file, kind);
        let mut conversations =
            read_jsonl::<Conversation>(file).or_else(|_| reference(file, InteractionKind::Free))?;
        if let Some(leading) = &self.stages.recipe.start_from.leading_interactions {
            conversations.extend(reference(leading, InteractionKind::Leading)?);
        }
        let plan = self.stages.plan("interactions")?.json("taken_over", &conversations)?;
        let plan = plan.writes(["interactions.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            write_jsonl(stage.file("interactions.jsonl"), &conversations)?;
            stage.count("interactions.jsonl", conversations.len() as u64);
            Ok(())
        })
    }

    fn transcripts(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let (all, recipe) = (self.stages.recipe, &self.stages.recipe.introspection);
        let fidelity = all.fidelity;
        let wording = fidelity.saved_name.into();
        let saved_system =
            self.stages.prompts.interaction_saved_system(&all.assistant_name, wording)?;
        let plan = self
            .stages
            .plan("transcripts")?
            .json("max_tokens", &recipe.sft.max_length)?
            .json("unfinished", &recipe.unfinished)?
            .json("fidelity", &fidelity)?
            .after(["reflections", "interactions"])
            .writes(["introspection.jsonl", "introspection.report.json"]);
        self.stages.stage(manifest, &plan, |stage| {
            let reflections = JsonlFile::<Reply>::open(stage.file("reflections.jsonl"))?;
            let conversations = JsonlFile::<Conversation>::open(stage.file("interactions.jsonl"))?;
            let assembly = Assembly {
                saved_system: &saved_system,
                max_tokens: recipe.sft.max_length,
                count_tokens: &|messages| self.tokens.of(messages),
                unfinished: recipe.unfinished,
                fidelity,
            };
            write_jsonl_with(stage.file("introspection.jsonl"), |put| {
                let mut kept = 0;
                let take = |transcript| {
                    kept += 1;
                    Ok::<_, DataError>(put(&transcript)?)
                };
                let report = assembly.each_transcript(&reflections, conversations.iter(), take)?;
                self.stages.note("transcripts", format!("{kept} transcripts kept"));
                write_json_atomic(stage.file("introspection.report.json"), &report)?;
                stage.count("introspection.jsonl", kept);
                if kept > 0 {
                    return Ok(());
                }
                Err(PipelineError::Persona {
                    persona: self.stages.persona.name().to_owned(),
                    reason: "no transcript is usable; see introspection.report.json".into(),
                })
            })
        })
    }

    /// `introspection.jsonl` out of a file that was made elsewhere.
    fn transcripts_from(&self, manifest: &mut Manifest, file: &Path) -> Result<(), PipelineError> {
        let plan = self.stages.plan("transcripts")?.file("start_from", file)?;
        let plan = plan.writes(["introspection.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            let mut count = 0;
            write_jsonl_with(stage.file("introspection.jsonl"), |put| {
                scan_transcripts(file, |transcript| {
                    count += 1;
                    Ok(put(&transcript)?)
                })
            })?;
            self.stages.note("transcripts", format!("{count} out of {}", file.display()));
            stage.count("introspection.jsonl", count);
            Ok(())
        })
    }
}
