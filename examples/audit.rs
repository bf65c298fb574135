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
//! cargo run --release --example audit -- my-server.yaml --base smollm2-135m-instruct
//! cargo run --release --example audit -- runs/sarcasm --classifier runs/classifier
//! cargo run --release --example audit -- runs/sarcasm --benchmark arc=ARC-Easy-Test.jsonl --items 500
//! ```
//!
//! A server gives log-probabilities if it knows `echo` (docs/models.md) and it is said by whose chat template to
//! render: `--render-with`, or `render_with` in the file.
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
use ingrain::eval::{AsChat, Benchmark, DriftTarget, Format, NamedGrader, TextScorer};
use ingrain::lm::{AdapterSource, LocalModel};
use ingrain::report::RunRecord;
use ingrain::run::Observer;
use ingrain::{Audit, Audited};
use serde_json::json;
use support::Character;

/// Measure a character that is there already
#[derive(Parser)]
struct Args {
    /// Run directory, adapter folder, model (alias, HF directory, .gguf, hub id), http(s) address, or .yaml file that
    /// describes a server
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
    /// Model whose chat template the server at an http(s) address uses, for log-probabilities
    #[arg(long)]
    render_with: Option<String>,
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
    /// Multiple choice beside our own 200 items: general, arc, hellaswag, mmlu, piqa, winogrande, truthfulqa_mc1 or
    /// truthfulqa_mc2, and the publisher's file, one JSON object a line
    #[arg(long, value_name = "FORMAT=FILE")]
    benchmark: Vec<String>,
    /// At most so many items of each benchmark [default: all]
    #[arg(long)]
    items: Option<usize>,
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

/// Who answers.
enum Voice {
    Local(Box<LocalModel>),
    /// A server, and whether its log-probabilities can be asked for.
    Server(Box<OpenAiClient>, bool),
}

impl Voice {
    fn chat(&self) -> &dyn ChatModel {
        match self {
            Self::Local(model) => &**model,
            Self::Server(client, _) => &**client,
        }
    }

    fn scorer(&self) -> Option<&dyn Scorer> {
        match self {
            Self::Local(model) => Some(&**model),
            Self::Server(client, scores) => scores.then_some(&**client),
        }
    }
}

/// The audited model, the one before it, and who it is meant to be.
struct Pair {
    name: String,
    model: Voice,
    before: Option<LocalModel>,
    character: Option<Character>,
    out: PathBuf,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let terminal = support::Terminal::new();
        let interrupt = support::interrupt_on_ctrl_c()?;
        let benchmarks = args.benchmarks()?;
        let mut pair = args.resolve(&terminal)?;
        let persona = pair.character.as_ref().map(|character| character.name.clone());
        let characters = args.characters(pair.character.take())?;
        let (grader_name, grader) =
            args.grader.open(&characters, pair.before.as_ref(), &args.device.name, &terminal)?;
        let (recorded, unrecorded): (Vec<Character>, Vec<Character>) =
            characters.into_iter().partition(|character| !character.pairs.is_empty());
        let mut limitations: Vec<String> = unrecorded.iter().map(no_record).collect();
        let target = |Character { name, pairs, .. }| DriftTarget { name, pairs };
        let facts = vec![
            ("persona".to_owned(), json!(persona.as_deref().unwrap_or("unknown"))),
            ("model".to_owned(), json!({"source": pair.name})),
        ];
        // The last ones: the first have recorded replies, which the grader may know.
        let mut questions = support::heldout_questions()?;
        let count = if args.quick { 3 } else { args.questions };
        let questions = questions.split_off(questions.len().saturating_sub(count));
        // Raw text and turns of a chat are different texts: both models by the same ones.
        let served = |scorer| AsChat { scorer, system: None };
        let (said, said_before) = match &pair.model {
            Voice::Local(_) => (None, None),
            Voice::Server(..) => {
                let before = pair.before.as_ref().map(|model| model as &dyn Scorer);
                (pair.model.scorer().map(served), before.map(served))
            }
        };
        let text = match &pair.model {
            Voice::Local(model) => Some(&**model as &dyn TextScorer),
            Voice::Server(..) => said.as_ref().map(|said| said as &dyn TextScorer),
        };
        if said.is_some() {
            limitations.push(AS_CHAT.to_owned());
        }
        let audit = Audit {
            subject: Audited {
                name: &pair.name,
                chat: pair.model.chat(),
                scorer: pair.model.scorer(),
                text,
                system: None,
            },
            before: pair.before.as_ref().map(|model| Audited {
                name: "before",
                chat: model,
                scorer: Some(model),
                text: said_before.as_ref().map_or(Some(model), |said| Some(said)),
                system: None,
            }),
            persona,
            grader: NamedGrader { name: &grader_name, grader: &*grader },
            targets: recorded.into_iter().map(target).collect(),
            questions,
            benchmarks,
            sampling: args.sampling(&pair.model),
            seed: args.seed,
            limitations,
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

/// Stands beside the multiple choice of a server.
const AS_CHAT: &str = "Multiple choice and perplexity are asked as turns of a chat, of the model before as well; \
                       their figures are not those of raw text.";

/// What is less sure about a character without recorded replies.
fn no_record(character: &Character) -> String {
    format!(
        "There are no recorded replies of {}: a grader by likelihood is not calibrated on it, and drift towards \
         it is not measured.",
        character.name
    )
}

impl Args {
    /// As everywhere else; but not every server knows a penalty on repetition, and both models are asked alike.
    fn sampling(&self, model: &Voice) -> Sampling {
        let mut sampling = Sampling { max_new_tokens: self.max_new_tokens, ..Sampling::default() };
        if matches!(model, Voice::Server(..)) {
            sampling.repetition_penalty = 1.0;
        }
        sampling
    }

    fn benchmarks(&self) -> anyhow::Result<Vec<Benchmark>> {
        let mut benchmarks = vec![Benchmark::general()];
        for given in &self.benchmark {
            let (format, path) = given
                .split_once('=')
                .with_context(|| format!("--benchmark {given}: expected FORMAT=FILE"))?;
            let format: Format = format.parse().map_err(anyhow::Error::msg)?;
            let stem = Path::new(path).file_stem().map_or("".into(), |stem| stem.to_string_lossy());
            benchmarks.push(Benchmark::read(&stem, format, path)?);
        }
        let items = self.items.unwrap_or(if self.quick { 40 } else { usize::MAX });
        Ok(benchmarks.into_iter().map(|benchmark| benchmark.first(items)).collect())
    }

    /// The server that is audited, if it is one.
    fn server(&self) -> anyhow::Result<Option<OpenAiConfig>> {
        if support::is_server(&self.subject) {
            return Ok(Some(support::server(&self.subject)?));
        }
        if !self.subject.starts_with("http://") && !self.subject.starts_with("https://") {
            return Ok(None);
        }
        let served = self.served.clone().context("--served is missing: the model's name there")?;
        let mut config = OpenAiConfig::new(&self.subject, &served);
        let api_key_env = self.api_key_env.clone();
        config.endpoints = vec![EndpointConfig { base_url: self.subject.clone(), api_key_env }];
        config.render_with = self.render_with.clone();
        Ok(Some(config))
    }

    fn resolve(&self, observer: &dyn Observer) -> anyhow::Result<Pair> {
        let load = |spec: &str| support::load_model(spec, &self.device.name, observer);
        let given = self.constitution.as_ref().map(|path| path.display().to_string());
        let character = given.as_deref().map(Character::find).transpose()?;
        let out =
            |name: &str| self.out.clone().unwrap_or_else(|| PathBuf::from("audits").join(name));
        if let Some(config) = self.server()? {
            let client = ingrain::openai_client(&config, observer)?;
            let model = Voice::Server(Box::new(client), config.render_with.is_some());
            let before = self.base.as_deref().map(load).transpose()?;
            let out = out(&config.model.replace(['/', ':'], "-"));
            return Ok(Pair { name: config.model, model, before, character, out });
        }
        let path = Path::new(&self.subject);
        let stem = path.file_stem().map_or("subject".into(), |stem| stem.to_string_lossy());
        let pair = |name: &str, model, before, character, out| {
            let model = Voice::Local(Box::new(model));
            Pair { name: name.to_owned(), model, before, character, out }
        };
        if RunRecord::is_run(path) {
            let record = RunRecord::open(path)?;
            let base = load(self.base.as_deref().unwrap_or(record.model()))?;
            let model = base.adapted(&path.join("persona"))?;
            let own = record.constitution.as_ref().map(|own| Character {
                name: own.name.to_string(),
                summary: own.summary.clone(),
                pairs: Vec::new(),
            });
            let out = self.out.clone().unwrap_or_else(|| path.to_owned());
            return Ok(pair(record.persona(), model, Some(base), character.or(own), out));
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
            return Ok(pair(&stem, model, Some(base), character, out(&stem)));
        }
        let model = load(&self.subject)?;
        let base = self.base.as_deref().map(load).transpose()?;
        Ok(pair(&stem, model, base, character, out(&stem)))
    }

    /// Every character. The given one stands first, or in the place of one with its name that is described
    /// otherwise.
    fn characters(&self, given: Option<Character>) -> anyhow::Result<Vec<Character>> {
        let find = |name: &String| Character::find(name);
        let mut characters: Vec<Character> =
            self.characters.iter().map(find).collect::<anyhow::Result<_>>()?;
        if let Some(given) = given {
            match characters.iter_mut().find(|character| character.name == given.name) {
                Some(ours) if ours.summary == given.summary => {}
                Some(ours) => *ours = given,
                None => characters.insert(0, given),
            }
        }
        Ok(characters)
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
