//! What the data stages will take, before anything is sent.

use ingrain_chat::{Message, Price, Sampling};
use ingrain_data::{Estimator, Prompt, Reply, StageEstimate, opposite_system};
use ingrain_run::{Silent, scan_jsonl};

use super::DataRun;
use super::cast::tokenizer;
use crate::answerer::ReplySource;
use crate::pipeline::{DataStages, Purse, Teacher, TokenCount};
use crate::recipe::{ChosenReplies, Critic, RejectedReplies};
use crate::{IntrospectionAuthor, PipelineError};

/// Tokens of a usual reply where nothing is known and the limit is not lower.
const USUAL_REPLY: usize = 350;
/// Tokens that one question of an expansion takes.
const QUESTION: usize = 30;
/// Questions that one reply of an expansion brings, at most.
const QUESTIONS_A_REPLY: usize = 45;

/// What an estimate assumes about models that have not been asked yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Tokens of a usual reply. None: the mean of the replies that the run directory holds, or else 350,
    /// or the sampling's limit if that is lower.
    pub reply_tokens: Option<usize>,
    /// Reply tokens a second of a server, all requests under way together.
    pub server_tokens_per_sec: f64,
    /// Reply tokens a second of a model that runs here.
    pub local_tokens_per_sec: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { reply_tokens: None, server_tokens_per_sec: 2_000.0, local_tokens_per_sec: 60.0 }
    }
}

/// Who answers a stage: what it costs and how fast it is.
#[derive(Clone, Copy)]
struct Pace {
    price: Option<Price>,
    tokens_per_sec: f64,
}

impl DataRun<'_> {
    /// Requests, tokens, seconds and money of every stage, less what is on disk; nothing is sent. Stages
    /// whose replies are recorded take nothing and are left out.
    ///
    /// # Errors
    /// [`PipelineError`] for files that the recipe names and that cannot be read.
    pub fn estimate(&self, assumed: &Assumptions) -> Result<Vec<StageEstimate>, PipelineError> {
        let own = self.base()?.as_ref().map(tokenizer).transpose()?;
        let tokens = own.as_deref().map_or(TokenCount::Guess, TokenCount::Exact);
        let count = |messages: &[Message]| tokens.of(messages);
        let desk = Desk { run: self, assumed, count: &count, purse: Purse::of(&self.recipe)? };
        let mut stages = Vec::new();
        if self.recipe.start_from.pairs.is_none() {
            desk.replies(&mut stages)?;
        }
        if self.introspection && self.recipe.start_from.transcripts.is_none() {
            desk.introspection(&mut stages)?;
        }
        Ok(stages)
    }
}

struct Desk<'a> {
    run: &'a DataRun<'a>,
    assumed: &'a Assumptions,
    count: &'a dyn Fn(&[Message]) -> usize,
    #[cfg_attr(not(feature = "openai"), expect(dead_code, reason = "servers alone cost money"))]
    purse: Purse,
}

impl Desk<'_> {
    fn replies(&self, stages: &mut Vec<StageEstimate>) -> Result<(), PipelineError> {
        let run = self.run;
        let (recipe, data) = (&run.recipe, &run.recipe.data);
        let (teacher, student) = (self.teacher(), self.student());
        let prompts = self.prompts(stages, teacher)?;
        let samples = data.samples_per_question;
        let constitution = run.persona.constitution();
        let started = recipe.start_from.distillation.is_some();
        if let (ChosenReplies::Teacher, Some(pace), false) = (data.chosen, teacher, started) {
            let system = run.prompts.teacher_system(constitution, &recipe.assistant_name)?;
            let estimator = self.estimator("teacher", pace, &data.teacher);
            let whole = estimator.replies("teacher", Some(&system), &prompts, samples);
            stages.push(self.left(whole));
        }
        let revised = data.chosen == ChosenReplies::Revision;
        let plain = revised || data.rejected == RejectedReplies::Student;
        if let (true, Some(pace), None) = (plain, student, &recipe.start_from.student_column) {
            let estimator = self.estimator("student", pace, &data.student);
            stages.push(self.left(estimator.replies("student", None, &prompts, samples)));
        }
        if let (RejectedReplies::Opposite, Some(pace)) = (data.rejected, teacher) {
            let system = opposite_system(constitution, &recipe.assistant_name);
            let estimator = self.estimator("opposite", pace, &data.teacher);
            let whole = estimator.replies("opposite", Some(&system), &prompts, samples);
            stages.push(self.left(whole));
        }
        let critic = match data.critique.by {
            Critic::Student => student,
            Critic::Teacher => teacher,
        };
        if let (true, Some(pace)) = (revised, critic) {
            // The first prompt holds the reply, the second one the critique as well.
            let estimator = self.estimator("critique.critiques", pace, &data.critique.sampling);
            for (name, before) in [("critique.critiques", 1), ("critique.revisions", 2)] {
                let mut whole = estimator.replies(name, None, &prompts, samples);
                let heard = whole.requests * (before * estimator.reply_tokens + 60) as u64;
                whole.prompt_tokens += heard;
                whole.cost += pace.price.map_or(0.0, |price| price.cost(heard, 0));
                stages.push(self.left(whole));
            }
        }
        self.heldout(stages, teacher, student)
    }

    /// What a run asks of both to measure a persona that brings no held-out pairs.
    fn heldout(
        &self,
        stages: &mut Vec<StageEstimate>,
        teacher: Option<Pace>,
        student: Option<Pace>,
    ) -> Result<(), PipelineError> {
        let (run, recipe) = (self.run, &self.run.recipe);
        let (Some(_), Some(pace), true) =
            (run.persona.missing_heldout(), teacher, run.asks_student())
        else {
            return Ok(());
        };
        let prompts = Prompt::general(run.persona.heldout_questions(recipe.seed));
        let constitution = run.persona.constitution();
        let system = run.prompts.teacher_system(constitution, &recipe.assistant_name)?;
        let estimator = self.estimator("teacher", pace, &recipe.data.teacher);
        stages.push(self.left(estimator.replies("heldout.teacher", Some(&system), &prompts, 1)));
        if let Some(pace) = student {
            let estimator = self.estimator("student", pace, &recipe.data.student);
            stages.push(self.left(estimator.replies("heldout.student", None, &prompts, 1)));
        }
        Ok(())
    }

    fn introspection(&self, stages: &mut Vec<StageEstimate>) -> Result<(), PipelineError> {
        let (recipe, own) = (&self.run.recipe, &self.run.recipe.introspection);
        let pace = match &own.author {
            IntrospectionAuthor::Teacher => self.teacher(),
            IntrospectionAuthor::Base => self.student(),
            #[cfg(feature = "openai")]
            IntrospectionAuthor::Served(served) => Some(self.server(&served.endpoint.model)),
            _ => Some(self.local()),
        };
        let Some(pace) = pace else { return Ok(()) };
        let constitution = self.run.persona.constitution();
        let prompts = &self.run.prompts;
        let start = &recipe.start_from;
        if own.texts.reflections() && start.reflections.is_none() {
            let system = prompts.reflection_system(constitution, &recipe.assistant_name)?;
            let tasks = prompts.reflection_tasks()?;
            let tasks = Prompt::general(tasks.into_iter().map(|task| task.prompt));
            let estimator = self.estimator("reflections", pace, &own.reflection);
            let samples = own.reflections_per_task;
            let whole = estimator.replies("reflections", Some(&system), &tasks, samples);
            stages.push(self.left(whole));
        }
        if own.texts.interactions() && start.interactions.is_none() {
            let plans = self.stages().interaction_plans()?;
            let estimator = self.estimator("interactions.turns", pace, &own.interaction);
            stages.push(self.left(estimator.interactions("interactions.turns", &plans)));
        }
        Ok(())
    }

    /// The prompts as they are, or as many as an expansion will make; and the expansion's own cost.
    fn prompts(
        &self,
        stages: &mut Vec<StageEstimate>,
        teacher: Option<Pace>,
    ) -> Result<Vec<Prompt>, PipelineError> {
        let own = self.run.persona.prompts();
        let data_stages = self.stages();
        if let Some(started) = data_stages.started()? {
            return data_stages.without_heldout([started.prompts, data_stages.general()?].concat());
        }
        let mut prompts = own.clone();
        if let (Some(expansion), Some(pace)) = (&self.run.recipe.data.expansion, teacher) {
            let assertions = &self.run.persona.constitution().assertions;
            let mut asking = Vec::new();
            for (a, assertion) in assertions.iter().enumerate() {
                let has = own.iter().filter(|p| p.assertion == Some(a)).count();
                let lacks = expansion.questions_per_assertion.saturating_sub(has);
                let usual = own.get(a % own.len().max(1)).map_or("", |p| p.text.as_str());
                prompts.extend(Prompt::general(vec![usual; lacks]));
                let text = self.run.prompts.question_expansion(assertion, QUESTIONS_A_REPLY)?;
                // Some of what comes is rejected: a quarter more than would just do.
                let rounds = (lacks * 5).div_ceil(QUESTIONS_A_REPLY * 4);
                asking.extend(Prompt::general(vec![text; rounds]));
            }
            let reply_tokens = QUESTION * QUESTIONS_A_REPLY;
            let sampling = &self.run.recipe.data.teacher;
            let estimator =
                Estimator { reply_tokens, ..self.estimator("expansion", pace, sampling) };
            stages.push(self.left(estimator.replies("expansion", None, &asking, 1)));
        }
        prompts.extend(data_stages.general()?);
        data_stages.without_heldout(prompts)
    }

    /// Stages without anybody to answer; enough to plan with.
    fn stages(&self) -> DataStages<'_> {
        self.run.planning()
    }

    fn teacher(&self) -> Option<Pace> {
        self.pace(self.run.recipe.data.teacher_source.as_ref())
    }

    fn student(&self) -> Option<Pace> {
        match &self.run.recipe.data.student_source {
            None => Some(self.local()),
            source => self.pace(source.as_ref()),
        }
    }

    fn pace(&self, source: Option<&ReplySource>) -> Option<Pace> {
        match source {
            None | Some(ReplySource::Recorded(_)) => None,
            Some(ReplySource::Local(_)) => Some(self.local()),
            #[cfg(feature = "openai")]
            Some(ReplySource::Endpoint(config)) => Some(self.server(&config.model)),
            #[cfg(feature = "openai")]
            Some(ReplySource::Batch(source)) => Some(self.server(&source.endpoint.model)),
        }
    }

    fn local(&self) -> Pace {
        Pace { price: None, tokens_per_sec: self.assumed.local_tokens_per_sec }
    }

    #[cfg(feature = "openai")]
    fn server(&self, model: &str) -> Pace {
        let price = self.purse.prices.of(model);
        Pace { price, tokens_per_sec: self.assumed.server_tokens_per_sec }
    }

    fn estimator(&self, stage: &str, pace: Pace, sampling: &Sampling) -> Estimator<'_> {
        let limit = sampling.max_new_tokens;
        let known = self.assumed.reply_tokens.or_else(|| self.mean_reply(stage));
        Estimator {
            count_tokens: self.count,
            reply_tokens: known.unwrap_or(USUAL_REPLY).clamp(1, limit),
            tokens_per_sec: pace.tokens_per_sec,
            price: pace.price,
        }
    }

    /// Mean tokens of the replies that a stage has on disk; none below ten.
    fn mean_reply(&self, stage: &str) -> Option<usize> {
        let (mut replies, mut tokens) = (0, 0);
        let file = self.run.out.join(format!("{stage}.jsonl"));
        let read = scan_jsonl(file, |reply: Reply| {
            replies += 1;
            tokens += reply.completion_tokens;
        });
        (read.is_ok() && replies >= 10).then(|| tokens / replies)
    }

    /// What is left of a stage: the part whose records are not on disk.
    fn left(&self, whole: StageEstimate) -> StageEstimate {
        let mut there = 0_u64;
        let file = self.run.out.join(format!("{}.jsonl", whole.stage));
        let read = scan_jsonl(file, |_: serde_json::Value| there += 1);
        let there = if read.is_ok() { there.min(whole.requests) } else { 0 };
        let share = 1.0 - there as f64 / whole.requests.max(1) as f64;
        let part = |tokens: u64| (tokens as f64 * share).round() as u64;
        StageEstimate {
            requests: whole.requests - there,
            prompt_tokens: part(whole.prompt_tokens),
            completion_tokens: part(whole.completion_tokens),
            seconds: whole.seconds * share,
            cost: whole.cost * share,
            ..whole
        }
    }
}

impl DataRun<'_> {
    /// The stages with nobody to answer.
    fn planning(&self) -> DataStages<'_> {
        self.stages_of(Teacher::FromRecipe, None, TokenCount::Guess, String::new(), &Silent)
    }
}
