//! Stages that train: distillation and introspection.

use ingrain_data::{PreferencePair, Transcript};
use ingrain_dpo::{DpoTrainer, tokenize_pairs};
use ingrain_introspection::{SftTrainer, tokenize_transcripts};
use ingrain_lm::Adapter;
use ingrain_run::{Manifest, StageRun, derive_seed, read_jsonl, sha256_file};
use ingrain_train::TrainRun;

use super::Context;
use crate::PipelineError;

impl Context<'_> {
    /// `distillation/`: an adapter that prefers the teacher's replies to the student's.
    pub(crate) fn distillation(&self, manifest: &mut Manifest) -> Result<Adapter, PipelineError> {
        let config = &self.recipe.distillation;
        let plan = self
            .plan("distillation")?
            .json("config", config)?
            .json("lora", &self.recipe.lora)?
            .after(["pairs"])
            .writes(["distillation"]);
        self.stage(manifest, &plan, |stage| {
            let pairs: Vec<PreferencePair> = read_jsonl(stage.file("pairs.jsonl"))?;
            let (pairs, long) = tokenize_pairs(&pairs, &self.model.tokenizer, config.max_length)?;
            if !long.is_empty() {
                let limit = config.max_length;
                self.note(
                    "distillation",
                    format!("{} pairs over {limit} tokens left out", long.len()),
                );
            }
            let dir = stage.file("distillation");
            let trainer = DpoTrainer {
                model: &self.model.model,
                base: &self.model.identity.sha256,
                pairs: &pairs,
                config,
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
        let config = &self.recipe.introspection.sft;
        let plan = self
            .plan("introspection")?
            .json("config", config)?
            .json("lora", &self.recipe.lora)?
            .after(["distillation", "transcripts"])
            .writes(["introspection"]);
        self.stage(manifest, &plan, |stage| {
            let transcripts: Vec<Transcript> = read_jsonl(stage.file("introspection.jsonl"))?;
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
            let folded = self.model.model.clone().fold(distilled);
            let base = format!("{}+{}", self.model.identity.sha256, self.distilled_sha256()?);
            let trainer =
                SftTrainer { model: &folded, base: &base, transcripts: &transcripts, config };
            let initial = self.fresh_adapter("introspection")?;
            let trained = trainer.fit(initial, &self.train_run("introspection", &dir, stage))?;
            Ok(trained.parameters.save(&dir, &self.model.identity.source)?)
        })?;
        Ok(Adapter::load(&self.run.file("introspection"), &self.model.model)?)
    }

    /// Names the weights that introspection trains on, beside the base's own digest.
    fn distilled_sha256(&self) -> Result<String, PipelineError> {
        Ok(sha256_file(self.run.file("distillation/adapter_model.safetensors"))?)
    }

    fn fresh_adapter(&self, stage: &str) -> Result<Adapter, PipelineError> {
        let seed = derive_seed(self.recipe.seed, stage, 0);
        Ok(Adapter::init(&self.model.model, &self.recipe.lora, seed)?)
    }

    fn train_run<'r>(
        &'r self,
        stage: &'r str,
        dir: &'r std::path::Path,
        run: &'r StageRun<'_>,
    ) -> TrainRun<'r> {
        TrainRun { stage, dir, resume: run.is_resumed(), observer: run, interrupt: self.interrupt }
    }
}
