//! Who is this character, how strong, how stable, and what drifted? Measures without training.
//!
//! Needs a run of ours, a PEFT adapter (a folder, or a hub id with --adapter), a model, or the address of an
//! OpenAI-compatible server. With the built-in model it takes about half an hour on two cores; `--quick` a few
//! minutes. Replies and scores are kept, so that a second call only draws the page again.
//!
//! ```sh
//! cargo run --release --example audit -- runs/sarcasm
//! cargo run --release --example audit -- my-adapter --constitution my-persona.yaml
//! cargo run --release --example audit -- http://127.0.0.1:8000/v1 --served my-model --quick
//! cargo run --release --example audit -- runs/sarcasm --classifier runs/classifier
//! ```
//!
//! Expect one figure of whom the replies resemble, the share recognised in plain chat, under attack and away
//! from chat, and, where log-probabilities are to be had, drift on every character, self-descriptions and
//! abilities against the model before.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingrain::chat::openai::{EndpointConfig, OpenAiConfig};
use ingrain::chat::{ChatModel, OpenAiClient, Sampling, Scorer};
use ingrain::constitution::Constitution;
use ingrain::eval::{DriftTarget, NamedGrader, TextScorer};
use ingrain::lm::{AdapterSource, LocalModel};
use ingrain::report::RunRecord;
use ingrain::run::Observer;
use ingrain::{Audit, Audited};
use serde_json::json;
use support::Character;

/// Measure a character that is there already
#[derive(Parser)]
struct Args {
    /// Run directory, adapter folder, model (alias, HF directory, .gguf, hub id), or http(s) address
    subject: String,
    /// SUBJECT is an adapter, also where it is a hub id
    #[arg(long)]
    adapter: bool,
    /// Base model of an adapter; what a model is compared with [default: what the adapter names]
    #[arg(long)]
    base: Option<String>,
    /// Name of the model behind an http(s) address
    #[arg(long)]
    served: Option<String>,
    /// Environment variable with the key for an http(s) address
    #[arg(long)]
    api_key_env: Option<String>,
    /// Who it is meant to be [default: the run's own]
    #[arg(long)]
    constitution: Option<PathBuf>,
    /// Characters that it is told apart from
    #[arg(long, value_delimiter = ',', default_value = support::CHARACTERS)]
    characters: Vec<String>,
    #[command(flatten)]
    grader: support::GraderArgs,
    /// Held-out questions
    #[arg(long, default_value_t = 12)]
    questions: usize,
    /// Tokens of a reply
    #[arg(long, default_value_t = 64)]
    max_new_tokens: usize,
    /// 3 questions, 40 items
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    device: support::DeviceArgs,
    /// Where suites and page go [default: the run itself, or audits/<subject>]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed of everything
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the suites as JSON
    #[arg(long)]
    json: bool,
}

/// The audited model, and the one before it.
struct Pair {
    name: String,
    model: Box<dyn ChatModel>,
    local: Option<LocalModel>,
    before: Option<LocalModel>,
    constitution: Option<Constitution>,
    out: PathBuf,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let terminal = support::Terminal::new();
        let interrupt = support::interrupt_on_ctrl_c()?;
        let pair = args.resolve(&terminal)?;
        let characters = args.characters(pair.constitution.as_ref())?;
        let persona = pair.constitution.as_ref().map(|c| c.name.to_string());
        let (grader_name, grader) =
            args.grader.open(&characters, pair.before.as_ref(), &args.device.name, &terminal)?;
        let mut targets = Vec::new();
        for Character { name, persona, .. } in &characters {
            if let Some(pairs) = persona.as_ref().and_then(|p| p.heldout_pairs().ok()) {
                targets.push(DriftTarget { name: name.clone(), pairs });
            }
        }
        let facts = vec![
            ("persona".to_owned(), json!(persona.as_deref().unwrap_or("unknown"))),
            ("model".to_owned(), json!({"source": pair.name})),
        ];
        // The last ones: the first have recorded replies, which the grader may know.
        let mut questions = support::heldout_questions()?;
        let count = if args.quick { 3 } else { args.questions };
        let questions = questions.split_off(questions.len().saturating_sub(count));
        let audit = Audit {
            subject: Audited {
                name: &pair.name,
                chat: &*pair.model,
                scorer: pair.local.as_ref().map(|model| model as &dyn Scorer),
                text: pair.local.as_ref().map(|model| model as &dyn TextScorer),
                system: None,
            },
            before: pair.before.as_ref().map(|model| Audited {
                name: "before",
                chat: model,
                scorer: Some(model),
                text: Some(model),
                system: None,
            }),
            persona,
            grader: NamedGrader { name: &grader_name, grader: &*grader },
            targets,
            questions,
            items: if args.quick { 40 } else { 200 },
            sampling: Sampling { max_new_tokens: args.max_new_tokens, ..Sampling::default() },
            seed: args.seed,
            facts,
            out: pair.out.clone(),
            observer: &terminal,
            interrupt,
        };
        let reports = audit.run()?;
        if args.json {
            println!("{}", serde_json::to_string_pretty(&reports)?);
        } else {
            reports.iter().for_each(|report| println!("{}", ingrain::markdown(report)));
            println!("{}", pair.out.join("report.html").display());
        }
        Ok(())
    })
}

impl Args {
    fn resolve(&self, observer: &dyn Observer) -> anyhow::Result<Pair> {
        let load = |spec: &str| support::load_model(spec, &self.device.name, observer);
        let path = Path::new(&self.subject);
        let stem = path.file_stem().map_or("subject".into(), |stem| stem.to_string_lossy());
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from("audits").join(&*stem));
        let constitution = self.constitution.as_ref().map(Constitution::from_path).transpose()?;
        if self.subject.starts_with("http://") || self.subject.starts_with("https://") {
            let served =
                self.served.clone().context("--served is missing: the model's name there")?;
            let mut config = OpenAiConfig::new(&self.subject, &served);
            let api_key_env = self.api_key_env.clone();
            config.endpoints = vec![EndpointConfig { base_url: self.subject.clone(), api_key_env }];
            let model = Box::new(OpenAiClient::new(config)?);
            let out = self.out.clone().unwrap_or_else(|| PathBuf::from("audits").join(&served));
            return Ok(Pair { name: served, model, local: None, before: None, constitution, out });
        }
        if RunRecord::is_run(path) {
            let record = RunRecord::open(path)?;
            let base = load(self.base.as_deref().unwrap_or(record.model()))?;
            let model = base.adapted(&path.join("persona"))?;
            let own = record.constitution.clone();
            let out = self.out.clone().unwrap_or_else(|| path.to_owned());
            return Ok(Pair::of(record.persona(), model, Some(base), constitution.or(own), out));
        }
        if self.adapter || path.join("adapter_config.json").is_file() {
            let source: AdapterSource = self.subject.parse()?;
            let dir = source.resolve(observer)?;
            let base = match &self.base {
                Some(base) => base.clone(),
                None => named_base(&dir)?,
            };
            let base = load(&base)?;
            let model = base.adapted(&dir)?;
            return Ok(Pair::of(&stem, model, Some(base), constitution, out));
        }
        let model = load(&self.subject)?;
        let base = self.base.as_deref().map(load).transpose()?;
        Ok(Pair::of(&stem, model, base, constitution, out))
    }

    /// Every character, the given one first.
    fn characters(&self, given: Option<&Constitution>) -> anyhow::Result<Vec<Character>> {
        let mut characters = Character::find(&self.characters)?;
        if let Some(given) = given
            && !characters.iter().any(|character| given.name == character.name.as_str())
        {
            let (name, summary) = (given.name.to_string(), given.summary.clone());
            characters.insert(0, Character { name, summary, persona: None });
        }
        Ok(characters)
    }
}

impl Pair {
    fn of(
        name: &str,
        model: LocalModel,
        before: Option<LocalModel>,
        constitution: Option<Constitution>,
        out: PathBuf,
    ) -> Self {
        let (name, local) = (name.to_owned(), Some(model.clone()));
        Self { name, model: Box::new(model), local, before, constitution, out }
    }
}

/// The model that an adapter's configuration names.
fn named_base(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join("adapter_config.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let config: serde_json::Value = serde_json::from_str(&text)?;
    let named = config["base_model_name_or_path"].as_str().map(str::to_owned);
    named.with_context(|| format!("{} names no base model; pass --base", path.display()))
}
