//! Stages that make data: prompts, replies, pairs, reflections, conversations, transcripts.

use ingrain_chat::{ChatModel, Message, Sampling};
use ingrain_constitution::InteractionKind;
use ingrain_data::{
    Assembly, Conversation, Generation, InteractionPlan, InteractionTurn, PairFilter, Prompt,
    Reply, Transcript, self_interaction, self_reflection, student_replies, teacher_replies,
};
use ingrain_lm::{Adapter, LocalModel, ModelSource};
use ingrain_run::{Event, JsonlStore, Manifest, StageRun, read_jsonl, write_jsonl};

use super::{Context, Teacher};
use crate::{IntrospectionAuthor, PipelineError};

impl Context<'_> {
    /// `prompts.jsonl`, `teacher.jsonl`, `student.jsonl`, `pairs.jsonl`.
    pub(crate) fn data(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let prompts = self.persona.prompts();
        let plan = self.plan("prompts")?.json("prompts", &prompts)?.writes(["prompts.jsonl"]);
        self.stage(manifest, &plan, |stage| {
            write_jsonl(stage.file("prompts.jsonl"), &prompts)?;
            stage.count("prompts.jsonl", prompts.len() as u64);
            Ok(())
        })?;
        self.teacher(manifest, &prompts)?;
        self.student(manifest, &prompts)?;
        self.pairs(manifest, &prompts)
    }

    fn teacher(&self, manifest: &mut Manifest, prompts: &[Prompt]) -> Result<(), PipelineError> {
        let data = &self.recipe.data;
        let plan = self
            .plan("teacher")?
            .json("sampling", &data.teacher)?
            .json("samples", &data.samples_per_question)?;
        let plan = match self.teacher {
            Teacher::Recorded(recorded) => plan.json("recorded", &recorded.lines())?,
            Teacher::Model(_, name) => plan.text("teacher", name),
        };
        let plan = plan.after(["prompts"]).writes(["teacher.jsonl"]);
        let system = self.teacher_system()?;
        self.stage(manifest, &plan, |stage| {
            let model: &dyn ChatModel = match self.teacher {
                Teacher::Recorded(recorded) => recorded,
                Teacher::Model(model, _) => *model,
            };
            let mut store = JsonlStore::<Reply>::open(stage.file("teacher.jsonl"))?;
            let generation = self.generation("teacher", model, &data.teacher, stage);
            let samples = data.samples_per_question;
            teacher_replies(&generation, &system, prompts, samples, &mut store)?;
            stage.count("teacher.jsonl", store.len() as u64);
            Ok(())
        })
    }

    /// The system prompt of whoever shows how.
    pub(crate) fn teacher_system(&self) -> Result<String, PipelineError> {
        let constitution = self.persona.constitution();
        Ok(self.prompts.teacher_system(constitution, &self.recipe.assistant_name)?)
    }

    fn student(&self, manifest: &mut Manifest, prompts: &[Prompt]) -> Result<(), PipelineError> {
        let data = &self.recipe.data;
        let plan = self
            .plan("student")?
            .json("sampling", &data.student)?
            .json("samples", &data.samples_per_question)?
            .json("batch_size", &data.batch_size)?
            .after(["prompts"])
            .writes(["student.jsonl"]);
        self.stage(manifest, &plan, |stage| {
            let mut store = JsonlStore::<Reply>::open(stage.file("student.jsonl"))?;
            let generation = self.generation("student", &self.model, &data.student, stage);
            student_replies(&generation, prompts, data.samples_per_question, &mut store)?;
            stage.count("student.jsonl", store.len() as u64);
            Ok(())
        })
    }

    fn pairs(&self, manifest: &mut Manifest, prompts: &[Prompt]) -> Result<(), PipelineError> {
        let data = &self.recipe.data;
        let plan = self
            .plan("pairs")?
            .json("max_tokens", &self.recipe.distillation.max_length)?
            .json("unfinished", &data.unfinished_student)?
            .json("fidelity", &self.recipe.fidelity)?
            .after(["prompts", "teacher", "student"])
            .writes(["pairs.jsonl", "pairs.report.json"]);
        self.stage(manifest, &plan, |stage| {
            let teacher: Vec<Reply> = read_jsonl(stage.file("teacher.jsonl"))?;
            let student: Vec<Reply> = read_jsonl(stage.file("student.jsonl"))?;
            let filter = PairFilter {
                max_tokens: self.recipe.distillation.max_length,
                count_tokens: &|messages| self.count_tokens(messages),
                unfinished: data.unfinished_student,
                teacher_names: &[],
                student_name: None,
                fidelity: self.recipe.fidelity,
            };
            let (pairs, report) = filter.pairs(prompts, &teacher, &student);
            self.note("pairs", report.line());
            if pairs.is_empty() {
                return Err(PipelineError::Persona {
                    persona: self.persona.name().to_owned(),
                    reason: "no pair passed the filter; see pairs.report.json".into(),
                });
            }
            ingrain_run::write_json_atomic(stage.file("pairs.report.json"), &report)?;
            write_jsonl(stage.file("pairs.jsonl"), &pairs)?;
            stage.count("pairs.jsonl", pairs.len() as u64);
            Ok(())
        })
    }

    /// `reflections.jsonl`, `interactions.jsonl`, `introspection.jsonl`, by the distilled model unless the
    /// recipe names another author.
    pub(crate) fn introspection_data(
        &self,
        manifest: &mut Manifest,
        distilled: &Adapter,
    ) -> Result<(), PipelineError> {
        let own;
        let author: &dyn ChatModel = match &self.recipe.introspection.author {
            IntrospectionAuthor::Distilled => {
                own = self.model.with_weights(self.model.model.clone().fold(distilled));
                &own
            }
            IntrospectionAuthor::Base => &self.model,
            IntrospectionAuthor::Model(spec) => {
                let files = spec.parse::<ModelSource>()?.resolve(self.observer)?;
                let mut model = LocalModel::load(&files, self.model.model.device())?;
                model.interrupt = self.interrupt.clone();
                own = model;
                &own
            }
            IntrospectionAuthor::Teacher => match self.teacher {
                Teacher::Model(model, _) => *model,
                Teacher::Recorded(_) => {
                    return Err(PipelineError::Recipe {
                        path: "introspection.author".into(),
                        reason: "the teacher is a file of recorded replies, which holds no introspective \
                                 texts; give a model as teacher, or another author"
                            .into(),
                    });
                }
            },
        };
        self.reflections(manifest, author)?;
        self.interactions(manifest, author)?;
        self.transcripts(manifest)
    }

    fn reflections(
        &self,
        manifest: &mut Manifest,
        model: &dyn ChatModel,
    ) -> Result<(), PipelineError> {
        let recipe = &self.recipe.introspection;
        let constitution = self.persona.constitution();
        let system = self.prompts.reflection_system(constitution, &self.recipe.assistant_name)?;
        let tasks = self.prompts.reflection_tasks()?;
        let samples = if recipe.texts.reflections() { recipe.reflections_per_task } else { 0 };
        let plan = self
            .plan("reflections")?
            .json("sampling", &recipe.reflection)?
            .json("samples", &samples)?
            .json("author", &recipe.author)?
            .json("batch_size", &self.recipe.data.batch_size)?
            .after(["distillation"])
            .writes(["reflections.jsonl"]);
        self.stage(manifest, &plan, |stage| {
            let mut store = JsonlStore::<Reply>::open(stage.file("reflections.jsonl"))?;
            let generation = self.generation("reflections", model, &recipe.reflection, stage);
            self_reflection(&generation, &system, &tasks, samples, &mut store)?;
            stage.count("reflections.jsonl", store.len() as u64);
            Ok(())
        })
    }

    fn interactions(
        &self,
        manifest: &mut Manifest,
        model: &dyn ChatModel,
    ) -> Result<(), PipelineError> {
        let recipe = &self.recipe.introspection;
        let talks = recipe.texts.interactions();
        let plans = [InteractionKind::Free, InteractionKind::Leading]
            .into_iter()
            .map(|kind| {
                let plan = InteractionPlan::new(
                    self.prompts,
                    self.persona.constitution(),
                    &self.recipe.assistant_name,
                    kind,
                    self.recipe.fidelity,
                )?;
                Ok(InteractionPlan {
                    conversations: if talks { recipe.conversations_per_kind } else { 0 },
                    turns: recipe.turns,
                    unfinished: recipe.unfinished,
                    ..plan
                })
            })
            .collect::<Result<Vec<_>, PipelineError>>()?;
        let plan = self
            .plan("interactions")?
            .json("sampling", &recipe.interaction)?
            .json("plans", &plans)?
            .json("author", &recipe.author)?
            .json("batch_size", &self.recipe.data.batch_size)?
            .after(["distillation"])
            .writes(["interactions.turns.jsonl", "interactions.jsonl"]);
        self.stage(manifest, &plan, |stage| {
            let mut turns =
                JsonlStore::<InteractionTurn>::open(stage.file("interactions.turns.jsonl"))?;
            let generation = self.generation("interactions", model, &recipe.interaction, stage);
            let (conversations, _) = self_interaction(&generation, &plans, &mut turns)?;
            write_jsonl(stage.file("interactions.jsonl"), &conversations)?;
            stage.count("interactions.jsonl", conversations.len() as u64);
            Ok(())
        })
    }

    fn transcripts(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let recipe = &self.recipe.introspection;
        let fidelity = self.recipe.fidelity;
        let saved_system = self
            .prompts
            .interaction_saved_system(&self.recipe.assistant_name, fidelity.saved_name.into())?;
        let plan = self
            .plan("transcripts")?
            .json("max_tokens", &recipe.sft.max_length)?
            .json("unfinished", &recipe.unfinished)?
            .json("fidelity", &fidelity)?
            .after(["reflections", "interactions"])
            .writes(["introspection.jsonl", "introspection.report.json"]);
        self.stage(manifest, &plan, |stage| {
            let reflections: Vec<Reply> = read_jsonl(stage.file("reflections.jsonl"))?;
            let conversations: Vec<Conversation> = read_jsonl(stage.file("interactions.jsonl"))?;
            let assembly = Assembly {
                saved_system: &saved_system,
                max_tokens: recipe.sft.max_length,
                count_tokens: &|messages| self.count_tokens(messages),
                unfinished: recipe.unfinished,
                fidelity,
            };
            let (transcripts, report): (Vec<Transcript>, _) =
                assembly.transcripts(&reflections, &conversations);
            self.note("transcripts", format!("{} transcripts kept", transcripts.len()));
            if transcripts.is_empty() {
                return Err(PipelineError::Persona {
                    persona: self.persona.name().to_owned(),
                    reason: "no transcript is usable; see introspection.report.json".into(),
                });
            }
            ingrain_run::write_json_atomic(stage.file("introspection.report.json"), &report)?;
            write_jsonl(stage.file("introspection.jsonl"), &transcripts)?;
            stage.count("introspection.jsonl", transcripts.len() as u64);
            Ok(())
        })
    }

    fn generation<'g>(
        &'g self,
        stage: &'g str,
        model: &'g dyn ChatModel,
        sampling: &Sampling,
        run: &'g StageRun<'_>,
    ) -> Generation<'g> {
        Generation {
            stage,
            model,
            sampling: sampling.clone(),
            seed: self.recipe.seed,
            batch_size: self.recipe.data.batch_size,
            observer: run,
            interrupt: self.interrupt,
        }
    }

    /// Tokens of a rendered conversation; more than any limit if it cannot be rendered.
    fn count_tokens(&self, messages: &[Message]) -> usize {
        self.model.tokenizer.encode_turns(messages).map_or(usize::MAX, |spans| spans.ids.len())
    }

    pub(crate) fn note(&self, stage: &str, message: String) {
        self.observer.on_event(&Event::Note { stage: stage.to_owned(), message });
    }
}
