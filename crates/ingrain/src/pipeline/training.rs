//! Stages that train: distillation and introspection.

use std::path::Path;

use ingrain_data::{PreferencePair, Transcript};
use ingrain_dpo::{DpoConfig, DpoTrainer, TokenizedPair, tokenize_pairs};
use ingrain_introspection::{SftConfig, SftTrainer, TokenizedTranscript, tokenize_transcripts};
use ingrain_lm::{Adapter, CausalLm};
use ingrain_run::{Manifest, StageRun, derive_seed, read_jsonl, sha256_file};
use ingrain_train::{TrainRun, Trained};

use super::Context;
use super::subset::nested;
use super::watch::training_loop;
use crate::{IntrospectionBase, PipelineError, TrainingPrecision};

impl Context<'_> {
    /// `distillation/`: an adapter that prefers the teacher's replies to the student's.
    pub(crate) fn distillation(&self, manifest: &mut Manifest) -> Result<Adapter, PipelineError> {
        if let Some(made) = &self.recipe.start_from.distillation_adapter {
            return self.adapter_from(manifest, "distillation", &["pairs"], made);
        }
        let config = &self.recipe.distillation;
        let plan = self
            .plan("distillation")?
            .json("config", config)?
            .json("max_pairs", &self.recipe.data.max_pairs)?
            .json("lora", &self.recipe.lora)?
            .json("training_precision", &self.recipe.training_precision)?
            .after(["pairs"])
            .writes(["distillation"]);
        self.stage(manifest, &plan, |stage| {
            let pairs: Vec<PreferencePair> = read_jsonl(stage.file("pairs.jsonl"))?;
            let pairs = nested(pairs, self.recipe.data.max_pairs, self.recipe.seed);
            let (pairs, long) = tokenize_pairs(&pairs, &self.model.tokenizer, config.max_length)?;
            if !long.is_empty() {
                let limit = config.max_length;
                self.note(
                    "distillation",
                    format!("{} pairs over {limit} tokens left out", long.len()),
                );
            }
            let dir = stage.file("distillation");
            let initial = self.fresh_adapter("distillation")?;
            let run = self.train_run("distillation", &dir, stage);
            let trained = self.fit_pairs(&pairs, config, initial, &run)?;
            Ok(trained.parameters.save(&dir, &self.model.identity.source)?)
        })?;
        Ok(Adapter::load(&self.run.file("distillation"), &self.model.model)?)
    }

    /// `introspection/`: an adapter on top of the distilled weights, from the model's own text.
    pub(crate) fn introspection(
        &self,
        manifest: &mut Manifest,
        distilled: &Adapter,
    ) -> Result<Adapter, PipelineError> {
        if let Some(made) = &self.recipe.start_from.introspection_adapter {
            return self.adapter_from(manifest, "introspection", &["distillation"], made);
        }
        let config = &self.recipe.introspection.sft;
        let plan = self
            .plan("introspection")?
            .json("config", config)?
            .json("lora", &self.recipe.lora)?
            .json("base", &self.recipe.introspection.base)?
            .json("max_transcripts", &self.recipe.introspection.max_transcripts)?
            .json("training_precision", &self.recipe.training_precision)?
            .after(["distillation", "transcripts"])
            .writes(["introspection"]);
        self.stage(manifest, &plan, |stage| {
            let transcripts: Vec<Transcript> = read_jsonl(stage.file("introspection.jsonl"))?;
            let limit = self.recipe.introspection.max_transcripts;
            let transcripts = nested(transcripts, limit, self.recipe.seed);
            let (transcripts, cuts) = tokenize_transcripts(
                &transcripts,
                &self.model.tokenizer,
                config.turns,
                config.max_length,
            )?;
            for cut in &cuts {
                let kept = cut.kept.map_or("left out".into(), |n| format!("{n} kept"));
                self.note("introspection", format!("{}: {} tokens, {kept}", cut.id, cut.tokens));
            }
            let dir = stage.file("introspection");
            let (folded, initial) = match self.recipe.introspection.base {
                IntrospectionBase::Folded => {
                    (Some(distilled), self.fresh_adapter("introspection")?)
                }
                IntrospectionBase::Adapter => (None, distilled.clone()),
            };
            let run = self.train_run("introspection", &dir, stage);
            let trained = self.fit_transcripts(&transcripts, config, folded, initial, &run)?;
            Ok(trained.parameters.save(&dir, &self.model.identity.source)?)
        })?;
        Ok(Adapter::load(&self.run.file("introspection"), &self.model.model)?)
    }

    /// An adapter that was trained elsewhere, checked against the model and taken into the run.
    fn adapter_from(
        &self,
        manifest: &mut Manifest,
        name: &str,
        after: &[&str],
        made: &Path,
    ) -> Result<Adapter, PipelineError> {
        let plan = self
            .plan(name)?
            .file("start_from", made.join("adapter_model.safetensors"))?
            .file("config", made.join("adapter_config.json"))?
            .after(after.iter().copied())
            .writes([name]);
        self.stage(manifest, &plan, |stage| {
            self.note(name, format!("taken from {}", made.display()));
            let adapter = Adapter::load(made, &self.model.model)?;
            Ok(adapter.save(&stage.file(name), &self.model.identity.source)?)
        })?;
        Ok(Adapter::load(&self.run.file(name), &self.model.model)?)
    }

    /// Trains `initial` on preference pairs.
    pub(crate) fn fit_pairs(
        &self,
        pairs: &[TokenizedPair],
        config: &DpoConfig,
        initial: Adapter,
        run: &TrainRun<'_>,
    ) -> Result<Trained<Adapter>, PipelineError> {
        let (model, base) = self.trainee(None)?;
        let cache = reference_cache();
        let trainer =
            DpoTrainer { model: &model, base: &base, pairs, config, reference_cache: Some(&cache) };
        let watch = self.watch()?;
        let watched = training_loop(watch.as_ref(), &model, &config.training, run);
        Ok(trainer.fit_through(initial, run, watched)?)
    }

    /// Trains `initial` on transcripts, on top of the distilled weights if they are given.
    pub(crate) fn fit_transcripts(
        &self,
        transcripts: &[TokenizedTranscript],
        config: &SftConfig,
        distilled: Option<&Adapter>,
        initial: Adapter,
        run: &TrainRun<'_>,
    ) -> Result<Trained<Adapter>, PipelineError> {
        let (model, base) = self.trainee(distilled)?;
        let trainer = SftTrainer { model: &model, base: &base, transcripts, config };
        let watch = self.watch()?;
        let watched = training_loop(watch.as_ref(), &model, &config.training, run);
        Ok(trainer.fit_through(initial, watched)?)
    }

    /// The model as training computes it, with the distilled adapter folded in if it is given, and the
    /// name of those weights: the base's digest, the adapter's, and the arithmetic.
    pub(crate) fn trainee(
        &self,
        distilled: Option<&Adapter>,
    ) -> Result<(CausalLm, String), PipelineError> {
        let (mut model, mut base) = (self.model.model.clone(), self.model.identity.sha256.clone());
        if let Some(adapter) = distilled {
            let sha256 = sha256_file(self.run.file("distillation/adapter_model.safetensors"))?;
            model = model.fold(adapter);
            base = format!("{base}+{sha256}");
        }
        match self.recipe.training_precision {
            TrainingPrecision::F32 => Ok((model, base)),
            TrainingPrecision::Bf16 => Ok((model.with_bf16_products()?, format!("{base} in bf16"))),
        }
    }

    pub(crate) fn fresh_adapter(&self, stage: &str) -> Result<Adapter, PipelineError> {
        let seed = derive_seed(self.recipe.seed, stage, 0);
        Ok(Adapter::init(&self.model.model, &self.recipe.lora, seed)?)
    }

    pub(crate) fn train_run<'r>(
        &'r self,
        stage: &'r str,
        dir: &'r std::path::Path,
        run: &'r StageRun<'_>,
    ) -> TrainRun<'r> {
        TrainRun { stage, dir, resume: run.is_resumed(), observer: run, interrupt: self.interrupt }
    }
}

/// Reference log-probabilities of all runs of this user.
pub(crate) fn reference_cache() -> std::path::PathBuf {
    ingrain_lm::cache_dir().join("reference_logps")
}
