//! Replies: the teacher's, the student's, those of the opposite pole.

use ingrain_chat::ChatModel;
use ingrain_data::{Prompt, Reply, opposite_system, reasoning_teacher_replies, student_replies};
use ingrain_run::{JsonlStore, Manifest, StagePlan, StageRun, write_jsonl};

use super::{DataStages, Teacher};
use crate::PipelineError;

/// What is asked how often; the replies go into `<name>.jsonl`.
pub(super) struct Asked<'a> {
    pub(super) name: &'a str,
    pub(super) prompts: &'a [Prompt],
    pub(super) samples: usize,
}

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
        let samples = self.stages.recipe.data.samples_per_question;
        let plan = self.answered(self.stages.plan("teacher")?)?.json("samples", &samples)?;
        let plan = plan.after(["prompts"]).writes(["teacher.jsonl"]);
        let (system, model) = (self.teacher_system()?, self.replying_teacher()?);
        let asked = Asked { name: "teacher", prompts, samples };
        self.stages.stage(manifest, &plan, |stage| self.shown(&asked, model, &system, stage))
    }

    /// A stage that the teacher answers in character, with all that its replies depend on.
    pub(super) fn answered(&self, plan: StagePlan) -> Result<StagePlan, PipelineError> {
        let data = &self.stages.recipe.data;
        let plan = plan.json("sampling", &data.teacher)?;
        let plan = match &self.teacher {
            Teacher::Model(_, name) => plan.text("teacher", name),
            _ => plan.text("recorded", &self.teacher_key()?),
        };
        Ok(match &data.reasoning {
            Some(reasoning) => plan.json("reasoning", reasoning)?,
            None => plan,
        })
    }

    pub(super) fn teacher_system(&self) -> Result<String, PipelineError> {
        let constitution = self.stages.persona.constitution();
        let name = &self.stages.recipe.assistant_name;
        Ok(self.stages.prompts.teacher_system(constitution, name)?)
    }

    /// The teacher for questions that a recording may hold.
    pub(super) fn replying_teacher(&self) -> Result<&dyn ChatModel, PipelineError> {
        match &self.teacher {
            Teacher::Recorded(recorded) => Ok(recorded),
            _ => self.teacher_model("data.teacher_source"),
        }
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
        let samples = recipe.data.samples_per_question;
        let plan = self
            .answered(self.stages.plan("opposite")?)?
            .json("samples", &samples)?
            .text("system", &system)
            .after(["prompts"])
            .writes(["opposite.jsonl"]);
        let asked = Asked { name: "opposite", prompts, samples };
        self.stages.stage(manifest, &plan, |stage| self.shown(&asked, teacher, &system, stage))
    }

    /// Replies under a system prompt.
    pub(super) fn shown(
        &self,
        asked: &Asked<'_>,
        model: &dyn ChatModel,
        system: &str,
        stage: &StageRun<'_>,
    ) -> Result<(), PipelineError> {
        let data = &self.stages.recipe.data;
        let &Asked { name, prompts, samples } = asked;
        let file = format!("{name}.jsonl");
        let mut store = JsonlStore::<Reply>::open(stage.file(&file))?;
        let generation = self.generation(name, model, &data.teacher, stage);
        let reasoning = data.reasoning.as_ref();
        self.ask(&generation, || {
            reasoning_teacher_replies(&generation, system, reasoning, prompts, samples, &mut store)
        })?;
        stage.count(file, store.len() as u64);
        Ok(())
    }

    /// Replies of the student, without a system prompt.
    pub(super) fn plain(
        &self,
        asked: &Asked<'_>,
        stage: &StageRun<'_>,
    ) -> Result<(), PipelineError> {
        let &Asked { name, prompts, samples } = asked;
        let file = format!("{name}.jsonl");
        let mut store = JsonlStore::<Reply>::open(stage.file(&file))?;
        let sampling = &self.stages.recipe.data.student;
        let generation = self.generation(name, self.student, sampling, stage);
        self.ask(&generation, || student_replies(&generation, prompts, samples, &mut store))?;
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
        let samples = data.samples_per_question;
        let plan = self
            .stages
            .plan("student")?
            .json("sampling", &data.student)?
            .json("samples", &samples)?
            .json("batch_size", &data.batch_size)?;
        let plan = match self.student_name {
            Some(name) => plan.text("student", name),
            None => plan,
        };
        let plan = plan.after(["prompts"]).writes(["student.jsonl"]);
        let asked = Asked { name: "student", prompts, samples };
        self.stages.stage(manifest, &plan, |stage| self.plain(&asked, stage))
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
