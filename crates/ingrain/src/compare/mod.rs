//! Several ways of training on the same data, measured alike: one row each.
//!
//! Everything lies in one run directory: the pairs as the pipeline makes them, and a folder for every
//! method with its adapter and its row. Each is a stage of the manifest, so that a comparison that was
//! stopped goes on where it was, and a method that is added later costs its own time only.

mod method;
mod train;

use std::path::{Path, PathBuf};

use ingrain_data::{PreferencePair, Transcript};
use ingrain_eval::{accuracy, margin};
use ingrain_lm::Adapter;
use ingrain_run::{
    Manifest, StageRun, StageTimer, Within, read_jsonl, sha256_file, write_json_atomic,
};
use serde::{Deserialize, Serialize};

use crate::pipeline::{Context, nested};
use crate::{IntrospectionAuthor, Persona, Pipeline, PipelineError, Recipe, Teacher};
use method::Kind;

pub use method::Method;

/// A table to be made.
pub struct Comparison<'a> {
    /// Recipe, persona, teacher and run directory.
    pub pipeline: Pipeline<'a>,
    /// One row each.
    pub methods: Vec<Method>,
    /// The whole method with texts by this model, named as in [`IntrospectionAuthor::Model`]; one row.
    pub author: Option<String>,
    /// The recipe's objective on as many pairs, nested; one row each.
    pub subsets: Vec<usize>,
    /// The whole method on as many transcripts, nested; one row each.
    pub transcript_subsets: Vec<usize>,
    /// The recipe's objective on another persona's data, a formatting skill say: what is not specific to
    /// character.
    pub control: Option<(Persona, Teacher<'a>)>,
}

/// What became of one way of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The method, with the number of pairs or the control's name where that is what differs.
    pub name: String,
    /// Examples that it trained on.
    pub examples: usize,
    /// Optimiser steps; 0 where the training was a whole pipeline of its own.
    pub steps: u64,
    /// Seconds of training in the process that ended it.
    pub seconds: f64,
    /// Share of the persona's held-out questions where the persona's reply is the likelier one.
    pub accuracy: f64,
    /// How much likelier, in nats a token.
    pub margin: f64,
    /// Perplexity of a neutral text.
    pub perplexity: f64,
    /// The margin on its own held-out questions, where the row is of another persona.
    pub own_margin: Option<f64>,
}

/// A trained adapter and how it came about.
struct Made {
    adapter: Adapter,
    examples: usize,
    steps: u64,
    own_margin: Option<f64>,
}

impl Comparison<'_> {
    /// Makes what is missing of the table, and writes it to `compare.json`. The first row is the model
    /// before training.
    ///
    /// # Errors
    /// As [`Pipeline::run`]; what is finished stays.
    pub fn run(&self) -> Result<Vec<Row>, PipelineError> {
        self.pipeline.can_measure()?;
        let within = self.within("control");
        let control = self.control.as_ref().map(|(persona, teacher)| {
            self.beside(&within, self.pipeline.recipe.clone(), persona, teacher.clone())
        });
        control.iter().try_for_each(Pipeline::can_measure)?;
        let (context, mut manifest) = self.pipeline.open()?;
        context.data(&mut manifest)?;
        let heldout = context.heldout_pairs(&mut manifest)?;
        let bench = Bench { context: &context, heldout: &heldout };
        let mut table = Table { bench, manifest: &mut manifest };
        let mut rows = vec![table.base()?];
        for &method in &self.methods {
            rows.push(self.method(&mut table, method)?);
        }
        if let Some(author) = &self.author {
            let author = IntrospectionAuthor::Model(author.clone());
            rows.push(self.other_author(&mut table, "from_other", author)?);
        }
        for &pairs in &self.subsets {
            let name = format!("dpo, {pairs} pairs");
            rows.push(table.row(&name, &(Method::Dpo, pairs), &["pairs"], |stage, dir| {
                bench.train(Method::Dpo, Some(pairs), dir, stage)
            })?);
        }
        for &transcripts in &self.transcript_subsets {
            let name = format!("introspection, {transcripts} transcripts");
            rows.push(table.introspection(&name, Method::Introspection, Some(transcripts))?);
        }
        if let Some(other) = &control {
            rows.push(table.control(other)?);
        }
        write_json_atomic(context.run.file("compare.json"), &rows)?;
        Ok(rows)
    }

    fn method(&self, table: &mut Table<'_, '_>, method: Method) -> Result<Row, PipelineError> {
        let bench = table.bench;
        let context = bench.context;
        let limit = context.recipe.data.max_pairs;
        match method.kind(&context.recipe.distillation.losses) {
            Kind::Introspection(_) => {
                let limit = context.recipe.introspection.max_transcripts;
                table.introspection(method.name(), method, limit)
            }
            Kind::OtherAuthor(author) => self.other_author(table, method.name(), author),
            Kind::CritiqueSft => {
                context.critique(table.manifest)?;
                table.row(method.name(), &(method, limit), &["pairs", "critique"], |stage, dir| {
                    bench.train(method, limit, dir, stage)
                })
            }
            _ => table.row(method.name(), &(method, limit), &["pairs"], |stage, dir| {
                bench.train(method, limit, dir, stage)
            }),
        }
    }

    /// The whole method with texts by somebody else than the distilled model.
    fn other_author(
        &self,
        table: &mut Table<'_, '_>,
        name: &str,
        author: IntrospectionAuthor,
    ) -> Result<Row, PipelineError> {
        let mut recipe = self.pipeline.recipe.clone();
        recipe.introspection.author = author;
        let (context, within) = (table.bench.context, self.within(name));
        let other = self.beside(&within, recipe, &self.pipeline.persona, context.teacher());
        table.other_author(name, &other)
    }

    fn within<'b>(&'b self, folder: &'b str) -> Within<'b> {
        Within { folder, observer: self.pipeline.observer }
    }

    /// The same pipeline with other settings, in a folder of its own.
    fn beside<'b>(
        &'b self,
        within: &'b Within<'b>,
        recipe: Recipe,
        persona: &Persona,
        teacher: Teacher<'b>,
    ) -> Pipeline<'b> {
        Pipeline {
            recipe,
            prompts: self.pipeline.prompts.clone(),
            persona: persona.clone(),
            allow_research_persona: self.pipeline.allow_research_persona,
            teacher,
            device: self.pipeline.device.clone(),
            out: self.pipeline.out.join(within.folder),
            resume: self.pipeline.resume,
            observer: within,
            interrupt: self.pipeline.interrupt.clone(),
        }
    }
}

/// What every row is trained with and measured on.
#[derive(Clone, Copy)]
struct Bench<'t, 'c> {
    context: &'t Context<'c>,
    heldout: &'t [PreferencePair],
}

impl Bench<'_, '_> {
    fn measured(
        &self,
        name: &str,
        made: &Made,
        seconds: f64,
        stage: &StageRun<'_>,
    ) -> Result<Row, PipelineError> {
        let model = &self.context.model;
        let folded = model.with_weights(model.model.clone().fold(&made.adapter));
        let measured = self.context.measure(&folded, self.heldout, stage)?;
        Ok(Row {
            name: name.to_owned(),
            examples: made.examples,
            steps: made.steps,
            seconds,
            accuracy: accuracy(&measured.scores),
            margin: margin(&measured.scores),
            perplexity: measured.perplexity,
            own_margin: made.own_margin,
        })
    }
}

/// The rows, each a stage of the manifest.
struct Table<'t, 'c> {
    bench: Bench<'t, 'c>,
    manifest: &'t mut Manifest,
}

impl Table<'_, '_> {
    /// The model before training.
    fn base(&mut self) -> Result<Row, PipelineError> {
        let Bench { context, heldout } = self.bench;
        let plan = context.plan("compare-base")?.json("heldout", &heldout)?;
        let plan = plan.writes(["compare-base"]);
        context.stage(self.manifest, &plan, |stage| {
            let dir = stage.file("compare-base");
            create(&dir)?;
            let measured = context.measure(&context.model, heldout, stage)?;
            let row = Row {
                name: "base".to_owned(),
                examples: 0,
                steps: 0,
                seconds: 0.0,
                accuracy: accuracy(&measured.scores),
                margin: margin(&measured.scores),
                perplexity: measured.perplexity,
                own_margin: None,
            };
            Ok(write_json_atomic(dir.join("row.json"), &row)?)
        })?;
        context.read_json("compare-base/row.json")
    }

    /// Trains, measures and writes a row, unless that is done. `what` and the stages `after` are what it
    /// depends on beside the recipe's training settings.
    fn row(
        &mut self,
        name: &str,
        what: &impl Serialize,
        after: &[&str],
        make: impl FnOnce(&StageRun<'_>, &Path) -> Result<Made, PipelineError>,
    ) -> Result<Row, PipelineError> {
        let bench = self.bench;
        let (context, recipe) = (bench.context, bench.context.recipe);
        let folder = format!("compare-{}", name.replace([',', ':'], "").replace(' ', "-"));
        let plan = context
            .plan(&folder)?
            .json("what", what)?
            .json("heldout", &bench.heldout)?
            .json("distillation", &recipe.distillation)?
            .json("introspection", &recipe.introspection)?
            .json("on_policy", &recipe.on_policy)?
            .json("merge", &recipe.merge)?
            .json("lora", &recipe.lora)?
            .json("training_precision", &recipe.training_precision)?
            .after(after.iter().copied())
            .writes([folder.as_str()]);
        context.stage(self.manifest, &plan, |stage| {
            let dir = stage.file(&folder);
            create(&dir)?;
            let timer = StageTimer::start();
            let made = make(stage, &dir)?;
            let seconds = timer.seconds();
            made.adapter.save(&dir.join("adapter"), &context.model.identity.source)?;
            let row = bench.measured(name, &made, seconds, stage)?;
            Ok(write_json_atomic(dir.join("row.json"), &row)?)
        })?;
        context.read_json(&format!("{folder}/row.json"))
    }

    /// The distilled model trained on its own texts, or on some of them.
    fn introspection(
        &mut self,
        name: &str,
        method: Method,
        limit: Option<usize>,
    ) -> Result<Row, PipelineError> {
        let bench = self.bench;
        let distilled = bench.context.distillation(self.manifest)?;
        bench.context.introspection_data(self.manifest, &distilled)?;
        let after = ["distillation", "transcripts"];
        self.row(name, &(method, limit), &after, |stage, dir| {
            bench.introspect((method, limit), &distilled, dir, stage)
        })
    }

    /// The whole method with texts by somebody else, in a run directory of its own.
    fn other_author(&mut self, name: &str, other: &Pipeline<'_>) -> Result<Row, PipelineError> {
        let (context, mut manifest) = other.open()?;
        context.data(&mut manifest)?;
        let distilled = context.distillation(&mut manifest)?;
        context.introspection_data(&mut manifest, &distilled)?;
        let introspection = context.introspection(&mut manifest, &distilled)?;
        let adapter = context.persona(&mut manifest, &distilled, &introspection)?;
        let transcripts: Vec<Transcript> = read_jsonl(context.run.file("introspection.jsonl"))?;
        let examples = transcripts.len();
        let what = sha256_file(context.run.file("persona/adapter_model.safetensors"))?;
        self.row(name, &what, &["pairs"], |_, _| {
            Ok(Made { adapter, examples, steps: 0, own_margin: None })
        })
    }

    /// The recipe's objective on another persona's pairs, in a run directory of its own.
    fn control(&mut self, other: &Pipeline<'_>) -> Result<Row, PipelineError> {
        let (context, mut manifest) = other.open()?;
        context.data(&mut manifest)?;
        let adapter = context.distillation(&mut manifest)?;
        let pairs: Vec<PreferencePair> = read_jsonl(context.run.file("pairs.jsonl"))?;
        let examples = nested(pairs, context.recipe.data.max_pairs, context.recipe.seed).len();
        let heldout = context.heldout_pairs(&mut manifest)?;
        let sha256 = sha256_file(context.run.file("distillation/adapter_model.safetensors"))?;
        let name = format!("control: {}", context.persona.name());
        self.row(&name, &(sha256, &heldout), &["pairs"], |stage, _| {
            let folded = context.model.with_weights(context.model.model.clone().fold(&adapter));
            let own = context.measure(&folded, &heldout, stage)?;
            let own_margin = Some(margin(&own.scores));
            Ok(Made { adapter, examples, steps: 0, own_margin })
        })
    }
}

fn create(dir: &Path) -> Result<(), PipelineError> {
    let path = PathBuf::from(dir);
    std::fs::create_dir_all(dir).map_err(|source| PipelineError::Io { path, source })
}
