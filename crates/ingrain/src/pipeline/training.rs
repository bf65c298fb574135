//! Stages that train: distillation and introspection.

use std::path::Path;

use ingrain_data::{PreferencePair, Transcript};
use ingrain_dpo::{DpoTrainer, tokenize_pairs};
use ingrain_introspection::{SftTrainer, tokenize_transcripts};
use ingrain_lm::{Adapter, CausalLm};
use ingrain_run::{Manifest, StageRun, derive_seed, read_jsonl, sha256_file};
use ingrain_train::TrainRun;

use super::Context;
use super::subset::nested;
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
            let (model, base) = self.trainee(self.model.model.clone(), String::new())?;
            let cache = reference_cache();
            let trainer = DpoTrainer {
                model: &model,
                base: &base,
                pairs: &pairs,
                config,
                reference_cache: Some(&cache),
            };
            let initial = self.fresh_adapter("distillation")?;
            let trained = trainer.fit(initial, &self.train_run("distillation", &dir, stage))?;
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
            let (model, folded, initial) = match self.recipe.introspection.base {
                IntrospectionBase::Folded => (
                    self.model.model.clone().fold(distilled),
                    format!("+{}", self.distilled_sha256()?),
                    self.fresh_adapter("introspection")?,
                ),
                IntrospectionBase::Adapter => {
                    (self.model.model.clone(), String::new(), distilled.clone())
                }
            };
            let (model, base) = self.trainee(model, folded)?;
            let trainer =
                SftTrainer { model: &model, base: &base, transcripts: &transcripts, config };
            let trained = trainer.fit(initial, &self.train_run("introspection", &dir, stage))?;
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

    /// The model as training computes it, and the name of those weights: the base's digest, what was
    /// folded into it, and the arithmetic.
    pub(crate) fn trainee(
        &self,
        model: CausalLm,
        folded: String,
    ) -> Result<(CausalLm, String), PipelineError> {
        let base = format!("{}{folded}", self.model.identity.sha256);
        match self.recipe.training_precision {
            TrainingPrecision::F32 => Ok((model, base)),
            TrainingPrecision::Bf16 => Ok((model.with_bf16_products()?, format!("{base} in bf16"))),
        }
    }

    /// Names the weights that introspection trains on, beside the base's own digest.
    pub(crate) fn distilled_sha256(&self) -> Result<String, PipelineError> {
        Ok(sha256_file(self.run.file("distillation/adapter_model.safetensors"))?)
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
