//! Training by one method.

use std::collections::HashSet;
use std::path::Path;

use ingrain_chat::Message;
use ingrain_data::{PreferencePair, Transcript, TranscriptKind};
use ingrain_dpo::{
    DpoConfig, UnpairedConfig, UnpairedTrainer, split_pairs, tokenize_pairs, tokenize_replies,
};
use ingrain_introspection::{
    LossTurns, OnPolicyDistiller, SftConfig, distillation_prompts, tokenize_transcripts,
};
use ingrain_lm::{Adapter, merge_exact};
use ingrain_run::{StageRun, read_jsonl};
use ingrain_train::Trained;

use super::method::Kind;
use super::{Bench, Made, Method};
use crate::pipeline::{nested, reference_cache};
use crate::{IntrospectionTexts, PipelineError};

impl Bench<'_, '_> {
    /// A fresh adapter trained on the run's pairs, or on as many of them.
    pub(super) fn train(
        &self,
        method: Method,
        limit: Option<usize>,
        dir: &Path,
        stage: &StageRun<'_>,
    ) -> Result<Made, PipelineError> {
        let context = self.context;
        let pairs: Vec<PreferencePair> = read_jsonl(context.run.file("pairs.jsonl"))?;
        let pairs = nested(pairs, limit, context.recipe.seed);
        match method.kind(&context.recipe.distillation.losses) {
            Kind::Preference(losses) => {
                let config = DpoConfig { losses, ..context.recipe.distillation.clone() };
                self.preference(&pairs, &config, dir, stage)
            }
            Kind::Unpaired(loss) => {
                let mut training = context.recipe.distillation.training.clone();
                // As many tokens a step as with pairs.
                training.batch_size *= 2;
                let max_length = context.recipe.distillation.max_length;
                let config = UnpairedConfig { loss, max_length, training };
                self.unpaired(&pairs, &config, dir, stage)
            }
            Kind::OnPolicy => self.on_policy(&pairs, dir, stage),
            Kind::CritiqueSft => {
                let revised: Vec<PreferencePair> = read_jsonl(context.run.file("critique.jsonl"))?;
                let revised = nested(revised, limit, context.recipe.seed);
                self.sft(&chosen_only(&revised), None, dir, stage)
            }
            _ => self.sft(&chosen_only(&pairs), None, dir, stage),
        }
    }

    /// The distilled model trained further on some of its transcripts, merged as the recipe says.
    pub(super) fn introspect(
        &self,
        (method, limit): (Method, Option<usize>),
        distilled: &Adapter,
        dir: &Path,
        stage: &StageRun<'_>,
    ) -> Result<Made, PipelineError> {
        let context = self.context;
        let texts = match method.kind(&[]) {
            Kind::Introspection(texts) => texts,
            _ => IntrospectionTexts::Both,
        };
        let transcripts: Vec<Transcript> = read_jsonl(context.run.file("introspection.jsonl"))?;
        let wanted = |transcript: &Transcript| match transcript.kind {
            TranscriptKind::Reflection => texts.reflections(),
            _ => texts.interactions(),
        };
        let transcripts = transcripts.into_iter().filter(wanted).collect();
        let transcripts = nested(transcripts, limit, context.recipe.seed);
        let made = self.sft(&transcripts, Some(distilled), dir, stage)?;
        let weights = &context.recipe.merge;
        let adapter = merge_exact(&[
            (distilled, weights.distillation),
            (&made.adapter, weights.introspection),
        ])?;
        Ok(Made { adapter, ..made })
    }

    fn preference(
        &self,
        pairs: &[PreferencePair],
        config: &DpoConfig,
        dir: &Path,
        stage: &StageRun<'_>,
    ) -> Result<Made, PipelineError> {
        let context = self.context;
        let (pairs, _) = tokenize_pairs(pairs, &context.model.tokenizer, config.max_length)?;
        let name = name_of(dir);
        let run = context.train_run(&name, dir, stage);
        let trained = context.fit_pairs(&pairs, config, self.fresh()?, &run)?;
        Ok(made(trained, pairs.len()))
    }

    fn unpaired(
        &self,
        pairs: &[PreferencePair],
        config: &UnpairedConfig,
        dir: &Path,
        stage: &StageRun<'_>,
    ) -> Result<Made, PipelineError> {
        let context = self.context;
        let replies = split_pairs(pairs);
        let (replies, _) = tokenize_replies(&replies, &context.model.tokenizer, config.max_length)?;
        let (model, base) = context.trainee(None)?;
        let cache = reference_cache();
        let trainer = UnpairedTrainer {
            model: &model,
            base: &base,
            replies: &replies,
            config,
            reference_cache: Some(&cache),
        };
        let trained = trainer.fit(self.fresh()?, &context.train_run(&name_of(dir), dir, stage))?;
        Ok(made(trained, replies.len()))
    }

    /// On the folded model if there is a distilled adapter, with introspection's settings; otherwise on
    /// the model as it is, with distillation's.
    fn sft(
        &self,
        transcripts: &[Transcript],
        distilled: Option<&Adapter>,
        dir: &Path,
        stage: &StageRun<'_>,
    ) -> Result<Made, PipelineError> {
        let context = self.context;
        let distillation = &context.recipe.distillation;
        let config = match distilled {
            Some(_) => context.recipe.introspection.sft.clone(),
            None => SftConfig {
                turns: LossTurns::Last,
                max_length: distillation.max_length,
                training: distillation.training.clone(),
            },
        };
        let (tokenizer, limit) = (&context.model.tokenizer, config.max_length);
        let (transcripts, _) = tokenize_transcripts(transcripts, tokenizer, config.turns, limit)?;
        let name = name_of(dir);
        let run = context.train_run(&name, dir, stage);
        let trained =
            context.fit_transcripts(&transcripts, &config, distilled, self.fresh()?, &run)?;
        Ok(made(trained, transcripts.len()))
    }

    fn on_policy(
        &self,
        pairs: &[PreferencePair],
        dir: &Path,
        stage: &StageRun<'_>,
    ) -> Result<Made, PipelineError> {
        let context = self.context;
        let mut asked = HashSet::new();
        let questions: Vec<Vec<Message>> = pairs
            .iter()
            .filter(|pair| asked.insert(pair.question()))
            .map(|pair| pair.prompt.clone())
            .collect();
        let system = context.teacher_system()?;
        let tokenizer = &context.model.tokenizer;
        let prompts = distillation_prompts(&questions, &system, tokenizer)?;
        let (model, base) = context.trainee(None)?;
        let distiller = OnPolicyDistiller {
            model: &model,
            base: &base,
            teacher: None,
            prompts: &prompts,
            stop_ids: tokenizer.stop_ids(),
            config: &context.recipe.on_policy,
        };
        let trained =
            distiller.fit(self.fresh()?, &context.train_run(&name_of(dir), dir, stage))?;
        Ok(made(trained, prompts.len()))
    }

    /// The same fresh adapter for every method.
    fn fresh(&self) -> Result<Adapter, PipelineError> {
        self.context.fresh_adapter("compare")
    }
}

fn made(trained: Trained<Adapter>, examples: usize) -> Made {
    Made { adapter: trained.parameters, examples, steps: trained.steps, own_margin: None }
}

/// Conversations that end on the chosen reply, which alone is learnt.
fn chosen_only(pairs: &[PreferencePair]) -> Vec<Transcript> {
    let transcript = |(at, pair): (usize, &PreferencePair)| {
        let messages = pair.chosen_conversation();
        let trainable = vec![messages.len().saturating_sub(1)];
        let id = pair.id.clone().unwrap_or_else(|| format!("#{at}"));
        Transcript { id, kind: TranscriptKind::Reflection, messages, trainable }
    };
    pairs.iter().enumerate().map(transcript).collect()
}

/// A row's folder names its training in events.
fn name_of(dir: &Path) -> String {
    dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
