//! From an arm to a model: training where it must be, folding, steering.

use ingrain_chat::Recorded;
use ingrain_eval::Method as EvalMethod;
use ingrain_lm::{Adapter, LocalModel, MergeMode, ModelSource};
use ingrain_run::{sha256_file, write_json_atomic};
use serde::{Deserialize, Serialize};

use super::cast::{Arm, Make, TrainingRun};
use super::{Experiment, Lab, Way};
use crate::compare::{Comparison, Method};
use crate::{Pipeline, PipelineError, Steered};

/// Strength and perplexities of a control vector that was found.
#[derive(Serialize, Deserialize)]
struct Strength {
    strength: f64,
    perplexity: f64,
    base_perplexity: f64,
}

/// `training/<run>.json`
#[derive(Serialize, Deserialize)]
struct Trained {
    run: String,
    seconds: f64,
    heldout: serde_json::Value,
    perplexity: serde_json::Value,
    /// SHA-256 of the weights of the published adapter, of every training of this run. More than one: the
    /// run was trained again without its work folder and came out otherwise, so its arms may be of either.
    adapters: Vec<String>,
}

/// A model that is ready to answer.
pub(super) struct Made {
    pub(super) model: LocalModel,
    pub(super) system: Option<String>,
}

impl Made {
    /// Under the arm's name.
    pub(super) fn method<'m>(&'m self, arm: &'m Arm) -> EvalMethod<'m> {
        EvalMethod { name: &arm.method, model: &self.model, system: self.system.clone() }
    }
}

impl Experiment<'_> {
    /// The model of the recipe, once for all arms.
    pub(super) fn base(&self, model: &str) -> Result<LocalModel, PipelineError> {
        let device = ingrain_lm::device(&self.device)?;
        let files = model.parse::<ModelSource>()?.resolve(self.observer)?;
        let mut model = LocalModel::load(&files, &device)?;
        model.interrupt = self.interrupt.clone();
        model.max_batch = 32;
        Ok(model)
    }

    fn pipeline<'p>(
        &'p self,
        lab: &'p Lab,
        run: &TrainingRun,
    ) -> Result<Pipeline<'p>, PipelineError> {
        let persona = lab.cast.characters[run.character].persona.clone();
        Ok(Pipeline {
            recipe: run.recipe.clone(),
            teacher: persona.recorded_teacher()?,
            persona,
            allow_research_persona: false,
            prompts: self.prompts.clone(),
            device: self.device.clone(),
            out: run.dir.clone(),
            resume: true,
            observer: self.observer,
            interrupt: self.interrupt.clone(),
        })
    }

    /// Trains a run unless its adapters are there.
    pub(super) fn train(&self, lab: &mut Lab, run: usize) -> Result<(), PipelineError> {
        let run = lab.cast.runs[run].clone();
        if run.dir.join("summary.json").is_file() {
            return Ok(());
        }
        self.note(&format!("training {}", run.name));
        let summary = self.pipeline(lab, &run)?.run()?;
        let key = format!("train/{}", run.name);
        let dir = self.plan.results.join("training");
        super::create(&dir)?;
        let file = dir.join(format!("{}.json", run.name));
        let mut adapters = Vec::new();
        if file.is_file() {
            let bytes = std::fs::read(&file)
                .map_err(|source| PipelineError::Io { path: file.clone(), source })?;
            let before: Trained = serde_json::from_slice(&bytes)
                .map_err(|error| PipelineError::Io { path: file.clone(), source: error.into() })?;
            adapters = before.adapters;
        }
        let made = sha256_file(run.dir.join("persona/adapter_model.safetensors"))?;
        if !adapters.contains(&made) {
            adapters.push(made);
        }
        let trained = Trained {
            run: run.name,
            seconds: summary.seconds_total,
            heldout: serde_json::json!(summary.heldout),
            perplexity: serde_json::json!(summary.perplexity),
            adapters,
        };
        write_json_atomic(file, &trained)?;
        // Trained before, and its work folder is gone.
        let again = format!("{key} again {}", super::now());
        let key = if lab.ledger.has(&key) { again } else { key };
        lab.ledger.unit_of(&key, summary.seconds_total)
    }

    /// The model of an arm.
    pub(super) fn make(&self, lab: &mut Lab, arm: &Arm) -> Result<Made, PipelineError> {
        let plain = |model: LocalModel| Made { model, system: None };
        match &arm.make {
            Make::Way(Way::Base, _) => Ok(plain(lab.base.clone())),
            Make::Way(Way::SystemPrompt, _) => {
                let system = Some(lab.cast.character(arm).system.clone());
                Ok(Made { model: lab.base.clone(), system })
            }
            Make::Way(Way::Steering, _) => Ok(plain(self.steered(lab, arm)?)),
            Make::Way(way, run) => {
                self.train(lab, *run)?;
                let (run, model) = (&lab.cast.runs[*run], &lab.base.model);
                let load = |part: &str| Adapter::load(&run.dir.join(part), model);
                let weights = &run.recipe.merge;
                let both = |mode: MergeMode, introspection: f64| {
                    let (distilled, other) = (load("distillation")?, load("introspection")?);
                    mode.merge(&[(&distilled, weights.distillation), (&other, introspection)])
                };
                let adapter = match way {
                    Way::Distilled => load("distillation")?,
                    Way::FullA => both(MergeMode::Exact, 1.0)?,
                    Way::FullB => both(MergeMode::PeftLinear, weights.introspection)?,
                    _ => load("persona")?,
                };
                Ok(plain(lab.base.with_weights(model.clone().fold(&adapter))))
            }
            Make::Texts(method, run) => {
                self.train(lab, *run)?;
                let run = lab.cast.runs[*run].clone();
                let dir = run.dir.join(format!("compare-{}", method.name())).join("adapter");
                if !dir.is_dir() {
                    let pipeline = self.pipeline(lab, &run)?;
                    compare(pipeline, *method)?;
                }
                let adapter = Adapter::load(&dir, &lab.base.model)?;
                Ok(plain(lab.base.with_weights(lab.base.model.clone().fold(&adapter))))
            }
        }
    }

    /// The base model under the character's control vector, found where it is not there yet.
    fn steered(&self, lab: &Lab, arm: &Arm) -> Result<LocalModel, PipelineError> {
        let character = lab.cast.character(arm);
        let dir = self.plan.results.join("steering");
        let (file, note) = (
            dir.join(format!("{}.gguf", character.name)),
            dir.join(format!("{}.json", character.name)),
        );
        if !note.is_file() {
            self.note(&format!("finding a control vector for {}", character.name));
            super::create(&dir)?;
            let questions: Vec<String> =
                character.persona.constitution().questions().map(str::to_owned).collect();
            let Steered { vector, tuned } =
                self.plan.steering.find(&lab.base, &character.system, &questions)?;
            self.check()?;
            vector.save(&file)?;
            let strength = Strength {
                strength: tuned.strength,
                perplexity: tuned.perplexity,
                base_perplexity: tuned.base_perplexity,
            };
            write_json_atomic(&note, &strength)?;
        }
        let text = std::fs::read(&note)
            .map_err(|source| PipelineError::Io { path: note.clone(), source })?;
        let found: Strength = serde_json::from_slice(&text)
            .map_err(|error| PipelineError::Io { path: note, source: error.into() })?;
        let vector = ingrain_steering::ControlVector::load(&file)?;
        let steering = vector.steering(&lab.base.model, found.strength)?;
        Ok(lab.base.with_steering(Some(steering)))
    }
}

/// One row of a comparison in the run's own directory; its data and its distillation are there.
fn compare(pipeline: Pipeline<'_>, method: Method) -> Result<(), PipelineError> {
    let comparison = Comparison {
        pipeline,
        methods: vec![method],
        author: None,
        subsets: Vec::new(),
        transcript_subsets: Vec::new(),
        control: None,
    };
    comparison.run().map(|_| ())
}

/// Stands in for a model whose replies are all on disk.
pub(super) fn nobody() -> Result<Recorded, PipelineError> {
    Ok(Recorded::new([])?)
}
