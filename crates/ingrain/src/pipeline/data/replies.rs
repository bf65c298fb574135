//! Replies: the teacher's, the student's, those of the opposite pole.

use ingrain_chat::ChatModel;
use ingrain_data::{Prompt, Reply, opposite_system, reasoning_teacher_replies, student_replies};
use ingrain_run::{JsonlStore, Manifest, StageRun, write_jsonl};

use super::{DataStages, Teacher};
use crate::PipelineError;

impl DataStages<'_> {
    /// `teacher.jsonl`.
    pub(super) fn teacher(
        &self,
        manifest: &mut Manifest,
        prompts: &[Prompt],
    ) -> Result<(), PipelineError> {
        if let Some(started) = self.started()? {
            return self.taken_over(manifest, "teacher", &started.teacher);
        }
        let data = &self.stages.recipe.data;
        let plan = self
            .stages
            .plan("teacher")?
            .json("sampling", &data.teacher)?
            .json("samples", &data.samples_per_question)?;
        let plan = match &self.teacher {
            Teacher::Model(_, name) => plan.text("teacher", name),
            _ => plan.text("recorded", &self.teacher_key()?),
        };
        let plan = match &data.reasoning {
            Some(reasoning) => plan.json("reasoning", reasoning)?,
            None => plan,
        };
        let plan = plan.after(["prompts"]).writes(["teacher.jsonl"]);
        let recipe = self.stages.recipe;
        let constitution = self.stages.persona.constitution();
        let system = self.stages.prompts.teacher_system(constitution, &recipe.assistant_name)?;
        let model: &dyn ChatModel = match &self.teacher {
            Teacher::Recorded(recorded) => recorded,
            _ => self.teacher_model("data.teacher_source")?,
        };
        self.stages
            .stage(manifest, &plan, |stage| self.shown("teacher", model, &system, prompts, stage))
    }

    /// `opposite.jsonl`: the teacher in the character of the opposite pole.
    pub(super) fn opposite(
        &self,
        manifest: &mut Manifest,
        prompts: &[Prompt],
    ) -> Result<(), PipelineError> {
        let recipe = self.stages.recipe;
        let teacher = self.teacher_model("data.rejected")?;
        let system = opposite_system(self.stages.persona.constitution(), &recipe.assistant_name);
        let plan = self
            .stages
            .plan("opposite")?
            .json("sampling", &recipe.data.teacher)?
            .json("samples", &recipe.data.samples_per_question)?
            .text("teacher", &self.teacher_key()?)
            .json("reasoning", &recipe.data.reasoning)?
            .text("system", &system)
            .after(["prompts"])
            .writes(["opposite.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            self.shown("opposite", teacher, &system, prompts, stage)
        })
    }

    /// Replies under a system prompt, into `<name>.jsonl`.
    fn shown(
        &self,
        name: &str,
        model: &dyn ChatModel,
        system: &str,
        prompts: &[Prompt],
        stage: &StageRun<'_>,
    ) -> Result<(), PipelineError> {
        let data = &self.stages.recipe.data;
        let (samples, reasoning) = (data.samples_per_question, data.reasoning.as_ref());
        let file = format!("{name}.jsonl");
        let mut store = JsonlStore::<Reply>::open(stage.file(&file))?;
        let generation = self.generation(name, model, &data.teacher, stage);
        self.ask(&generation, || {
            reasoning_teacher_replies(&generation, system, reasoning, prompts, samples, &mut store)
        })?;
        stage.count(file, store.len() as u64);
        Ok(())
    }

    /// `student.jsonl`.
    pub(super) fn student(
        &self,
        manifest: &mut Manifest,
        prompts: &[Prompt],
    ) -> Result<(), PipelineError> {
        if let Some(started) = self.started()?.filter(|started| !started.student.is_empty()) {
            return self.taken_over(manifest, "student", &started.student);
        }
        let data = &self.stages.recipe.data;
        let plan = self
            .stages
            .plan("student")?
            .json("sampling", &data.student)?
            .json("samples", &data.samples_per_question)?
            .json("batch_size", &data.batch_size)?;
        let plan = match self.student_name {
            Some(name) => plan.text("student", name),
            None => plan,
        };
        let plan = plan.after(["prompts"]).writes(["student.jsonl"]);
        self.stages.stage(manifest, &plan, |stage| {
            let mut store = JsonlStore::<Reply>::open(stage.file("student.jsonl"))?;
            let generation = self.generation("student", self.student, &data.student, stage);
            self.ask(&generation, || {
                student_replies(&generation, prompts, data.samples_per_question, &mut store)
            })?;
            stage.count("student.jsonl", store.len() as u64);
            Ok(())
        })
    }

    /// `<name>.jsonl` out of a file that was made elsewhere.
    pub(super) fn taken_over(
        &self,
        manifest: &mut Manifest,
        name: &str,
        replies: &[Reply],
    ) -> Result<(), PipelineError> {
        let file = format!("{name}.jsonl");
        let plan = self.stages.plan(name)?.json("taken_over", replies)?.writes([file.as_str()]);
        self.stages.stage(manifest, &plan, |stage| {
            write_jsonl(stage.file(&file), replies)?;
            stage.count(file.as_str(), replies.len() as u64);
            Ok(())
        })
    }
}
