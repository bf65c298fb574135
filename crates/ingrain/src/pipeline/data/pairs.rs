//! Replies to pairs: filter, quality, critique and revision.

use std::path::Path;

use ingrain_chat::{ChatModel, Message};
use ingrain_data::interchange::read_pairs;
use ingrain_data::{
    PairFilter, PreferencePair, Prompt, QualityReport, Reply, StageReport, critique_and_revise,
};
use ingrain_run::{JsonlStore, Manifest, StageRun, read_jsonl, write_json_atomic, write_jsonl};

use super::DataStages;
use crate::PipelineError;
use crate::recipe::{ChosenReplies, Critic, RejectedReplies};

/// Files that a filter over two files of replies writes.
struct Files {
    pairs: &'static str,
    report: &'static str,
    quality: &'static str,
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
        let recipe = self.stages.recipe;
        let (chosen_stage, chosen_file) = match recipe.data.chosen {
            ChosenReplies::Teacher => ("teacher", "teacher.jsonl"),
            ChosenReplies::Revision => ("critique", REVISIONS),
        };
        let (rejected_stage, rejected_file) = match recipe.data.rejected {
            RejectedReplies::Student => ("student", "student.jsonl"),
            RejectedReplies::Opposite => ("opposite", "opposite.jsonl"),
        };
        let plan = self
            .stages
            .plan("pairs")?
            .json("max_tokens", &recipe.distillation.max_length)?
            .json("unfinished", &recipe.data.unfinished_student)?
            .json("fidelity", &recipe.fidelity)?;
        let plan = match recipe.data.teacher_names.is_empty() {
            true => plan,
            false => plan.json("teacher_names", &recipe.data.teacher_names)?,
        };
        let plan = plan.after(["prompts", chosen_stage, rejected_stage]).writes([
            PAIRS.pairs,
            PAIRS.report,
            PAIRS.quality,
        ]);
        self.stages.stage(manifest, &plan, |stage| {
            let chosen: Vec<Reply> = read_jsonl(stage.file(chosen_file))?;
            let rejected: Vec<Reply> = read_jsonl(stage.file(rejected_file))?;
            self.filter("pairs", &PAIRS, (prompts, &chosen, &rejected), stage)
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
            let pairs = read_pairs(file)?;
            self.stages.note("pairs", format!("{} pairs out of {}", pairs.len(), file.display()));
            self.keep(&PAIRS, &pairs, stage)
        })
    }

    /// `critique.jsonl`: the student's replies as rejected, revised by the constitution as chosen.
    pub(crate) fn critique(
        &self,
        manifest: &mut Manifest,
        prompts: &[Prompt],
    ) -> Result<(), PipelineError> {
        let recipe = self.stages.recipe;
        let critique = &recipe.data.critique;
        let critic: &dyn ChatModel = match critique.by {
            Critic::Student => self.student,
            Critic::Teacher => self.teacher_model("data.critique.by")?,
        };
        let plan = self.stages.plan("critique")?.json("critique", critique)?;
        let plan = match critique.by {
            Critic::Teacher => plan.text("teacher", &self.teacher_key()?),
            Critic::Student => plan,
        };
        let plan = plan
            .json("max_tokens", &recipe.distillation.max_length)?
            .json("unfinished", &recipe.data.unfinished_student)?
            .json("fidelity", &recipe.fidelity)?
            .json("batch_size", &recipe.data.batch_size)?
            .after(["prompts", "student"])
            .writes([CRITIQUES, REVISIONS, CRITIQUE.pairs, CRITIQUE.report, CRITIQUE.quality]);
        self.stages.stage(manifest, &plan, |stage| {
            let student: Vec<Reply> = read_jsonl(stage.file("student.jsonl"))?;
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
            let revised: Vec<Reply> = revisions.iter().collect::<Result<_, _>>()?;
            stage.count(REVISIONS, revised.len() as u64);
            self.filter("critique", &CRITIQUE, (prompts, &revised, &student), stage)
        })
    }

    /// Filters chosen and rejected replies to pairs, and reports.
    fn filter(
        &self,
        name: &str,
        files: &Files,
        (prompts, chosen, rejected): (&[Prompt], &[Reply], &[Reply]),
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
        let (pairs, report) = filter.pairs(prompts, chosen, rejected);
        self.stages.note(name, report.line());
        write_json_atomic(stage.file(files.report), &report)?;
        if pairs.is_empty() {
            return Err(PipelineError::Persona {
                persona: self.stages.persona.name().to_owned(),
                reason: format!("no pair passed the filter; see {}", files.report),
            });
        }
        self.keep(files, &pairs, stage)
    }

    fn keep(
        &self,
        files: &Files,
        pairs: &[PreferencePair],
        stage: &StageRun<'_>,
    ) -> Result<(), PipelineError> {
        let assertions = self.stages.persona.constitution().assertions.len();
        let names = &self.stages.recipe.data.teacher_names;
        let quality = QualityReport::with_teacher_names(pairs, assertions, names);
        write_json_atomic(stage.file(files.quality), &quality)?;
        write_jsonl(stage.file(files.pairs), pairs)?;
        stage.count(files.pairs, pairs.len() as u64);
        Ok(())
    }
}
