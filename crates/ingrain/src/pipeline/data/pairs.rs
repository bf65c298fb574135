//! Replies to pairs: filter, quality, critique and revision.

use std::path::Path;

use ingrain_chat::{ChatModel, Message};
use ingrain_data::interchange::scan_pairs;
use ingrain_data::{
    DataError, PairFilter, Prompt, QualityTally, Reply, StageReport, critique_and_revise,
};
use ingrain_run::{
    JsonlFile, JsonlStore, Manifest, StagePlan, StageRun, write_json_atomic, write_jsonl_with,
};

use super::DataStages;
use crate::PipelineError;
use crate::recipe::{ChosenReplies, Critic, RejectedReplies};

/// Files that a filter over two files of replies writes.
pub(super) struct Files {
    pub(super) pairs: &'static str,
    pub(super) report: &'static str,
    pub(super) quality: &'static str,
}

const PAIRS: Files =
    Files { pairs: "pairs.jsonl", report: "pairs.report.json", quality: "quality.json" };
const CRITIQUE: Files = Files {
    pairs: "critique.jsonl",
    report: "critique.report.json",
    quality: "critique.quality.json",
};

const CRITIQUES: &str = "critique.critiques.jsonl";
const REVISIONS: &str = "critique.revisions.jsonl";

impl DataStages<'_> {
    /// `pairs.jsonl`, `pairs.report.json`, `quality.json`.
    pub(super) fn pairs(
        &self,
        manifest: &mut Manifest,
        prompts: &[Prompt],
    ) -> Result<(), PipelineError> {
        let data = &self.stages.recipe.data;
        let (chosen_stage, chosen) = match data.chosen {
            ChosenReplies::Teacher => ("teacher", "teacher.jsonl"),
            ChosenReplies::Revision => ("critique", REVISIONS),
        };
        let (rejected_stage, rejected) = match data.rejected {
            RejectedReplies::Student => ("student", "student.jsonl"),
            RejectedReplies::Opposite => ("opposite", "opposite.jsonl"),
        };
        let plan = self.filtered("pairs")?.after(["prompts", chosen_stage, rejected_stage]);
        let plan = plan.writes([PAIRS.pairs, PAIRS.report, PAIRS.quality]);
        self.stages.stage(manifest, &plan, |stage| {
            self.filter("pairs", &PAIRS, prompts, (chosen, rejected), stage)
        })
    }

    /// A stage that filters replies, with all that the filter depends on.
    pub(super) fn filtered(&self, name: &str) -> Result<StagePlan, PipelineError> {
        let recipe = self.stages.recipe;
        let plan = self
            .stages
            .plan(name)?
            .json("max_tokens", &recipe.distillation.max_length)?
            .json("unfinished", &recipe.data.unfinished_student)?
            .json("fidelity", &recipe.fidelity)?;
        Ok(match recipe.data.teacher_names.is_empty() {
            true => plan,
            false => plan.json("teacher_names", &recipe.data.teacher_names)?,
        })
    }

    /// `pairs.jsonl` out of a file that was made elsewhere.
    pub(super) fn pairs_from(
        &self,
        manifest: &mut Manifest,
        file: &Path,
    ) -> Result<(), PipelineError> {
        let plan = self.stages.plan("pairs")?.file("start_from", file)?;
        let plan = plan.writes([PAIRS.pairs, PAIRS.quality]);
        self.stages.stage(manifest, &plan, |stage| {
            let mut tally = self.tally();
            write_jsonl_with(stage.file(PAIRS.pairs), |put| {
                scan_pairs(file, |pair| {
                    tally.add(&pair);
                    Ok(put(&pair)?)
                })
            })?;
            let count = self.measured(&PAIRS, tally, stage)?;
            self.stages.note("pairs", format!("{count} pairs out of {}", file.display()));
            Ok(())
        })
    }

    /// `critique.jsonl`: the student's replies as rejected, revised by the constitution as chosen.
    pub(crate) fn critique(
        &self,
        manifest: &mut Manifest,
        prompts: &[Prompt],
    ) -> Result<(), PipelineError> {
        let data = &self.stages.recipe.data;
        let critique = &data.critique;
        let critic: &dyn ChatModel = match critique.by {
            Critic::Student => self.student,
            Critic::Teacher => self.teacher_model("data.critique.by")?,
        };
        let plan = self.filtered("critique")?.json("critique", critique)?;
        let plan = match critique.by {
            Critic::Teacher => plan.text("teacher", &self.teacher_key()?),
            Critic::Student => plan,
        };
        let plan = plan
            .json("batch_size", &data.batch_size)?
            .after(["prompts", "student"])
            .writes([CRITIQUES, REVISIONS, CRITIQUE.pairs, CRITIQUE.report, CRITIQUE.quality]);
        self.stages.stage(manifest, &plan, |stage| {
            let student = JsonlFile::<Reply>::open(stage.file("student.jsonl"))?;
            let mut critiques = JsonlStore::<Reply>::open(stage.file(CRITIQUES))?;
            let mut revisions = JsonlStore::<Reply>::open(stage.file(REVISIONS))?;
            let generation = self.generation("critique", critic, &critique.sampling, stage);
            let constitution = self.stages.persona.constitution();
            self.ask(&generation, || {
                let (first, second) = critique_and_revise(
                    &generation,
                    constitution,
                    prompts,
                    &student,
                    &mut critiques,
                    &mut revisions,
                )?;
                Ok(StageReport { failed: [first.failed, second.failed].concat(), ..second })
            })?;
            stage.count(REVISIONS, revisions.len() as u64);
            self.filter("critique", &CRITIQUE, prompts, (REVISIONS, "student.jsonl"), stage)
        })
    }

    /// Filters a file of chosen and a file of rejected replies to pairs, and reports.
    pub(super) fn filter(
        &self,
        name: &str,
        files: &Files,
        prompts: &[Prompt],
        (chosen, rejected): (&str, &str),
        stage: &StageRun<'_>,
    ) -> Result<(), PipelineError> {
        let recipe = self.stages.recipe;
        let names = &recipe.data.teacher_names;
        let filter = PairFilter {
            max_tokens: recipe.distillation.max_length,
            count_tokens: &|messages: &[Message]| self.tokens.of(messages),
            unfinished: recipe.data.unfinished_student,
            teacher_names: names,
            student_name: (!names.is_empty()).then_some(recipe.assistant_name.as_str()),
            fidelity: recipe.fidelity,
        };
        let open = |name: &str| JsonlFile::<Reply>::open(stage.file(name));
        let (chosen, rejected) = (open(chosen)?, open(rejected)?);
        let mut tally = self.tally();
        write_jsonl_with(stage.file(files.pairs), |put| {
            let report = filter.each_pair(prompts, &chosen, &rejected, |pair| {
                tally.add(&pair);
                Ok::<_, DataError>(put(&pair)?)
            })?;
            self.stages.note(name, report.line());
            write_json_atomic(stage.file(files.report), &report)?;
            if report.kept > 0 {
                return Ok(());
            }
            Err(PipelineError::Persona {
                persona: self.stages.persona.name().to_owned(),
                reason: format!("no pair passed the filter; see {}", files.report),
            })
        })?;
        self.measured(files, tally, stage)?;
        Ok(())
    }

    fn tally(&self) -> QualityTally {
        let assertions = self.stages.persona.constitution().assertions.len();
        QualityTally::new(assertions, &self.stages.recipe.data.teacher_names)
    }

    /// Writes down what the pairs are like; how many there are.
    fn measured(
        &self,
        files: &Files,
        tally: QualityTally,
        stage: &StageRun<'_>,
    ) -> Result<usize, PipelineError> {
        let quality = tally.report();
        write_json_atomic(stage.file(files.quality), &quality)?;
        stage.count(files.pairs, quality.pairs as u64);
        Ok(quality.pairs)
    }
}
