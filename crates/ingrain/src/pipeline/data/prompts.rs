//! What is asked: the constitution's questions, more of them, and general ones.

use ingrain_data::interchange::{Distillation, read_reference_distillation};
use ingrain_data::{
    DataError, Expansion, ExpansionReply, Prompt, built_in_first_turns, expand_prompts,
    read_first_turns,
};
use ingrain_run::{JsonlStore, Manifest, read_jsonl, write_json_atomic, write_jsonl};

use super::DataStages;
use crate::PipelineError;

impl DataStages<'_> {
    /// `prompts.jsonl`.
    pub(super) fn prompts(&self, manifest: &mut Manifest) -> Result<Vec<Prompt>, PipelineError> {
        let mut prompts = match self.started()? {
            Some(started) => started.prompts,
            None => match &self.stages.recipe.data.expansion {
                Some(expansion) => self.expanded(manifest, expansion)?,
                None => self.stages.persona.prompts(),
            },
        };
        prompts.extend(self.general()?);
        let prompts = self.without_heldout(prompts)?;
        let plan = self.stages.plan("prompts")?.json("prompts", &prompts)?;
        let plan = plan.writes(["prompts.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            write_jsonl(stage.file("prompts.jsonl"), &prompts)?;
            stage.count("prompts.jsonl", prompts.len() as u64);
            Ok(())
        })?;
        Ok(prompts)
    }

    /// The wide file that the run starts from, if it does.
    pub(crate) fn started(&self) -> Result<Option<Distillation>, PipelineError> {
        let start = &self.stages.recipe.start_from;
        let Some(file) = &start.distillation else { return Ok(None) };
        Ok(Some(read_reference_distillation(file, start.student_column.as_deref())?))
    }

    /// `expansion.jsonl` (what the teacher wrote), `expansion.report.json` (what was rejected and why),
    /// `expansion.prompts.jsonl`.
    fn expanded(
        &self,
        manifest: &mut Manifest,
        expansion: &Expansion,
    ) -> Result<Vec<Prompt>, PipelineError> {
        let recipe = self.stages.recipe;
        if self.stages.persona.parts.len() > 1 {
            return Err(PipelineError::Recipe {
                path: "data.expansion".into(),
                reason: "a mix of personas keeps their shares of written questions; expand the parts on \
                         their own, or set this to null"
                    .into(),
            });
        }
        let teacher = self.teacher_model("data.expansion")?;
        let expansion = Expansion { fidelity: recipe.fidelity, ..*expansion };
        let (replies, report, prompts) =
            ("expansion.jsonl", "expansion.report.json", "expansion.prompts.jsonl");
        let plan = self
            .stages
            .plan("expansion")?
            .json("sampling", &recipe.data.teacher)?
            .json("expansion", &expansion)?
            .json("duplicates", &recipe.fidelity.duplicates)?
            .text("teacher", &self.teacher_key()?)
            .writes([replies, report, prompts]);
        self.stages.stage(manifest, &plan, |stage| {
            let mut store = JsonlStore::<ExpansionReply>::open(stage.file(replies))?;
            let generation = self.generation("expansion", teacher, &recipe.data.teacher, stage);
            let constitution = self.stages.persona.constitution();
            let (kept, told, asked) = expand_prompts(
                &generation,
                self.stages.prompts,
                constitution,
                &expansion,
                &mut store,
            )?;
            let lacking: usize = told.lacking.values().sum();
            // What failed is asked again by the same command; a stage that is done is not.
            if let Some(failure) = asked.failed.first().filter(|_| lacking > 0) {
                return Err(PipelineError::Data(DataError::Invalid {
                    stage: "expansion".into(),
                    reason: format!(
                        "{lacking} questions are lacking, because requests failed ({}); run the same \
                         command again to go on",
                        failure.error
                    ),
                }));
            }
            let message = format!(
                "{} questions, {} lines rejected, {lacking} questions lacking",
                kept.len(),
                told.rejected.len()
            );
            self.stages.note("expansion", message);
            write_json_atomic(stage.file(report), &told)?;
            write_jsonl(stage.file(prompts), &kept)?;
            stage.count(prompts, kept.len() as u64);
            Ok(())
        })?;
        Ok(read_jsonl(manifest.dir().join(prompts))?)
    }

    /// First turns of general conversations.
    pub(crate) fn general(&self) -> Result<Vec<Prompt>, PipelineError> {
        let Some(general) = &self.stages.recipe.data.general else { return Ok(Vec::new()) };
        let Some(file) = &general.file else {
            let limit = match general.filter.limit {
                0 => usize::MAX,
                limit => limit,
            };
            return Ok(Prompt::general(built_in_first_turns().take(limit)));
        };
        let (turns, report) = read_first_turns(file, general.format, &general.filter)?;
        let (kept, read) = (report.kept, report.records);
        let message = format!("{kept} of {read} first turns of {} kept", file.display());
        self.stages.note("prompts", message);
        Ok(Prompt::general(turns))
    }
}
