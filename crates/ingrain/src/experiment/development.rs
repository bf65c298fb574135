//! Tuning on what is set aside for it, and the freeze that ends it.

use std::borrow::Cow;

use ingrain_run::{JsonlStore, Keyed, sha256_hex, write_json_atomic};
use serde::{Deserialize, Serialize};

use super::{Experiment, Lab};
use crate::{Persona, Pipeline, PipelineError, Recipe};

/// One training on a persona for development.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Attempt {
    key: String,
    persona: String,
    /// First digits of the hash of the resolved recipe.
    recipe: String,
    heldout_margin: [f64; 2],
    perplexity: [f64; 2],
    seconds: f64,
}

impl Keyed for Attempt {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

/// `frozen.json`
#[derive(Serialize, Deserialize)]
struct Frozen {
    hash: String,
    attempts: usize,
}

impl Experiment<'_> {
    /// Trains every persona for development by the recipe, unless that was done, and lists what came of it.
    pub(super) fn develop(&self, lab: &mut Lab) -> Result<(), PipelineError> {
        let recipe = Recipe::named_or_file(&self.plan.recipe)?;
        let hash = sha256_hex(recipe.to_yaml()?.as_bytes())[..12].to_owned();
        let file = self.plan.results.join("attempts.jsonl");
        let mut attempts = JsonlStore::<Attempt>::open(&file)?;
        for name in &self.plan.development {
            let key = format!("{name}/{hash}");
            if attempts.contains(&key) {
                continue;
            }
            self.check()?;
            self.note(&format!("development: training {name}"));
            let persona = Persona::find(name, &self.folders)?;
            let summary = Pipeline {
                recipe: recipe.clone(),
                teacher: persona.recorded_teacher()?,
                persona,
                allow_research_persona: false,
                prompts: self.prompts.clone(),
                device: self.device.clone(),
                out: self.plan.work.join(format!("development-{name}-{hash}")),
                resume: true,
                observer: self.observer,
                interrupt: self.interrupt.clone(),
            }
            .run()?;
            attempts.append(&Attempt {
                key: key.clone(),
                persona: name.clone(),
                recipe: hash.clone(),
                heldout_margin: [summary.heldout.base.margin, summary.heldout.persona.margin],
                perplexity: [summary.perplexity.base, summary.perplexity.persona],
                seconds: summary.seconds_total,
            })?;
            lab.ledger.unit_of(&format!("train/development/{key}"), summary.seconds_total)?;
        }
        Ok(())
    }

    /// Writes down under which plan held-out questions are asked, or compares with what was written.
    pub(super) fn freeze(&self) -> Result<(), PipelineError> {
        let path = self.plan.results.join("frozen.json");
        let hash = self.plan.frozen_hash()?;
        if path.is_file() {
            let bytes = std::fs::read(&path)
                .map_err(|source| PipelineError::Io { path: path.clone(), source })?;
            let frozen: Frozen = serde_json::from_slice(&bytes)
                .map_err(|error| PipelineError::Io { path: path.clone(), source: error.into() })?;
            if frozen.hash != hash {
                return Err(PipelineError::Recipe {
                    path,
                    reason: "recipe, questions, sampling or seed are not those under which held-out \
                             questions were first asked; put them back, or choose another folder for results"
                        .into(),
                });
            }
            return Ok(());
        }
        let file = self.plan.results.join("attempts.jsonl");
        let attempts = JsonlStore::<Attempt>::open(file)?.len();
        Ok(write_json_atomic(path, &Frozen { hash, attempts })?)
    }
}
