//! What a model or an adapter is, and why it would not load.
//!
//! Needs nothing prepared: the built-in model (98 MB) is fetched on first use. Takes seconds for a small
//! model; the weights are read, so a large one needs the memory that it needs. Expect a tree of names and
//! values, and exit code 1 if a part would not load.
//!
//! ```sh
//! cargo run --release --example inspect -- --model path/to/model
//! cargo run --release --example inspect -- --adapter runs/sarcasm/persona
//! cargo run --release --example inspect -- --model org/name --json
//! ```
//!
//! What would not load says why in its place, the rest is shown all the same, and the exit code is 1.

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

#[path = "inspect/print.rs"]
mod print;
mod support;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use ingrain::chat::Message;
use ingrain::gguf::GgufFile;
use ingrain::lm::{
    Adapter, AdapterSource, CausalLm, DecoderConfig, LmError, LocalModel, ModelFiles, ModelFormat,
    ModelSource,
};
use ingrain::tokenizer::{ChatTokenizer, RenderOptions};
use serde_json::{Map, Value, json};

/// Show what a model or adapter is
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    source: support::SourceArgs,
    /// PEFT adapter: a directory or a hub id
    #[arg(long)]
    adapter: Option<AdapterSource>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let mut loads = true;
    let code = support::run(|| {
        let args = Args::parse();
        let report = inspect(&args)?;
        match args.json {
            true => println!("{}", Value::from_iter(report.parts.clone())),
            false => print::report(&report.parts),
        }
        loads = report.loads;
        Ok(())
    });
    if loads { code } else { ExitCode::FAILURE }
}

/// Everything that can be found out, in the order in which a person asks for it.
struct Report {
    parts: Vec<(&'static str, Value)>,
    loads: bool,
}

impl Report {
    /// Notes a part, or why there is none.
    fn add(&mut self, name: &'static str, part: Result<Value, impl Display>) {
        let part = part.unwrap_or_else(|error| {
            self.loads = false;
            json!({ "would not load": format!("{error:#}") })
        });
        self.parts.push((name, part));
    }
}

fn inspect(args: &Args) -> anyhow::Result<Report> {
    let observer = support::Terminal::new();
    let files = args.source.model.parse::<ModelSource>()?.resolve(&observer)?;
    let mut report = Report { parts: Vec::new(), loads: true };
    report.add("files", Ok::<_, LmError>(json!(files.identity)));
    report.add("config", files.config().map(|config| shapes(&config)));
    report.add("stored", files.stored_types().map(|types| json!(types)));
    let device = ingrain::lm::device(&args.source.device.name)?;
    let whole = LocalModel::load(&files, &device);
    // What does not load as a whole may in parts.
    let (weights, tokenizer) = match &whole {
        Ok(whole) => (Ok(whole.model.clone()), Ok(whole.tokenizer.clone())),
        Err(_) => (CausalLm::load(&files, &device), read_tokenizer(&files).map(Arc::new)),
    };
    report.add("weights", weights.as_ref().map(sizes));
    report.add("tokenizer", tokenizer.as_ref().map(|tokenizer| special_tokens(tokenizer)));
    if let Ok(tokenizer) = &tokenizer {
        report.add("chat template", render(tokenizer));
    }
    if let (Err(error), true, true) = (&whole, weights.is_ok(), tokenizer.is_ok()) {
        report.add("both together", Err(error));
    }
    let Some(source) = &args.adapter else { return Ok(report) };
    let dir = source.resolve(&observer)?;
    report.add("adapter", declared(&dir));
    if let Ok(model) = &weights {
        report.add("adapter weights", Adapter::load(&dir, model).map(|adapter| updates(&adapter)));
    }
    if let Ok(model) = &whole {
        let proof = if dir.join("selftest.json").is_file() { "self-test passed" } else { "loads" };
        report.add("adapter on this model", model.adapted(&dir).map(|_| json!(proof)));
    }
    Ok(report)
}

fn shapes(config: &DecoderConfig) -> Value {
    let windowed = config.layers.iter().filter(|layer| layer.windowed).count();
    json!({
        "family": config.family.model_type(), "from a multimodal checkpoint": config.nested,
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size, "layers": config.num_layers,
        "heads": config.num_heads, "kv_heads": config.num_kv_heads, "head_dim": config.head_dim,
        "context": config.max_position, "window": config.sliding_window,
        "windowed layers": windowed, "rope_theta": config.rope_theta,
        "rope_scaling": config.rope_scaling.as_ref().map(|scaling| format!("{scaling:?}")),
        "tied head": config.tie_embeddings,
    })
}

fn sizes(model: &CausalLm) -> Value {
    let parameters = model.num_parameters();
    json!({
        "parameters": parameters,
        "bytes in float32, as loaded": 4 * parameters, "bytes in bfloat16": 2 * parameters,
        "tensors left out": model.skipped_tensors().len(),
    })
}

fn read_tokenizer(files: &ModelFiles) -> Result<ChatTokenizer, LmError> {
    Ok(match &files.format {
        ModelFormat::Directory(dir) => ChatTokenizer::from_hf_dir(dir)?,
        ModelFormat::Gguf(path) => ChatTokenizer::from_gguf(&GgufFile::open(path)?)?,
    })
}

fn special_tokens(tokenizer: &ChatTokenizer) -> Value {
    let name = |id: Option<u32>| id.and_then(|id| tokenizer.token(id));
    let stops: Vec<_> = tokenizer.stop_ids().iter().map(|&id| tokenizer.token(id)).collect();
    json!({
        "tokens": tokenizer.vocab_size(), "bos": name(tokenizer.bos_id()),
        "eos": name(tokenizer.eos_id()), "a reply ends at": stops,
    })
}

/// What the chat template makes of a short conversation, with whatever it adds on its own.
fn render(tokenizer: &ChatTokenizer) -> Result<Value, LmError> {
    let messages = [Message::user("Why is the sky blue?")];
    Ok(match tokenizer.chat_template() {
        Some(_) => json!({ "render": tokenizer.render(&messages, &RenderOptions::generation())? }),
        None => json!({ "render": null }),
    })
}

/// What an adapter says of itself, whether or not it fits the model at hand.
fn declared(dir: &Path) -> anyhow::Result<Value> {
    let path = dir.join("adapter_config.json");
    let config = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let config: Map<String, Value> =
        serde_json::from_slice(&config).with_context(|| path.display().to_string())?;
    let fields = [
        ("made for", "base_model_name_or_path"),
        ("kind", "peft_type"),
        ("rank", "r"),
        ("alpha", "lora_alpha"),
        ("rank-stabilised", "use_rslora"),
        ("targets", "target_modules"),
    ];
    Ok(fields.map(|(name, field)| (name, config.get(field).cloned())).into_iter().collect())
}

/// The size of its update in every module, by block.
fn updates(adapter: &Adapter) -> Value {
    let mut layers: Vec<Map<String, Value>> = Vec::new();
    for module in adapter.norms() {
        layers.resize_with(layers.len().max(module.layer + 1), Map::new);
        let norm = (module.norm * 1e4).round() / 1e4;
        layers[module.layer].insert(module.projection.name().to_owned(), json!(norm));
    }
    json!({
        "rank": adapter.config().rank, "targets": adapter.config().target_modules,
        "parameters": adapter.num_parameters(), "bytes in float32": 4 * adapter.num_parameters(),
        "tensors left out": adapter.skipped_tensors().len(), "norm": adapter.norm(),
        "norms by layer": layers,
    })
}
