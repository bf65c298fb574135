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

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod support;

use std::cell::Cell;
use std::process::ExitCode;

use clap::Parser;
use ingrain::chat::Message;
use ingrain::lm::{Adapter, DecoderConfig, LmError, LocalModel, ModelFiles, ModelSource};
use ingrain::tokenizer::RenderOptions;
use serde_json::{Value, json};

/// Show what a model or adapter is
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let loads = Cell::new(true);
    let code = support::run(|| {
        let args = Args::parse();
        let report = report(&args.model, &loads)?;
        match args.json {
            true => println!("{report}"),
            false => print(&report, 0),
        }
        Ok(())
    });
    if loads.get() { code } else { ExitCode::FAILURE }
}

/// Everything that can be found out; a part that would not load says why in its place.
fn report(args: &support::ModelArgs, loads: &Cell<bool>) -> anyhow::Result<Value> {
    let observer = support::Terminal::new();
    let files = args.model.parse::<ModelSource>()?.resolve(&observer)?;
    let part = |name: &str, result: Result<Value, LmError>| match result {
        Ok(value) => (name.to_owned(), value),
        Err(error) => {
            loads.set(false);
            (name.to_owned(), json!({ "would not load": error.to_string() }))
        }
    };
    let mut report = serde_json::Map::new();
    report.insert("files".into(), json!(files.identity));
    report.extend([part("config", files.config().map(|config| shapes(&config)))]);
    report.extend([part("stored", files.stored_types().map(|types| json!(types)))]);
    let model = LocalModel::load(&files, &ingrain::lm::device(&args.device)?);
    let model = match model {
        Ok(model) => model,
        Err(error) => {
            report.extend([part("model", Err(error))]);
            return Ok(report.into());
        }
    };
    report.extend([part("model", Ok(weights(&model, &files)))]);
    report.extend([part("tokenizer", tokenizer(&model))]);
    if let Some(source) = &args.adapter {
        let dir = source.resolve(&observer)?;
        let loaded = Adapter::load(&dir, &model.model).map(|adapter| describe(&adapter));
        report.extend([part("adapter", loaded)]);
        let proven = model.adapted(&dir).map(|_| json!(true));
        report.extend([part("adapter proven", proven)]);
    }
    Ok(report.into())
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

fn weights(model: &LocalModel, files: &ModelFiles) -> Value {
    let parameters = model.model.num_parameters();
    json!({
        "parameters": parameters,
        format!("memory in {}", files.identity.dtype): 4 * parameters,
        "memory in bfloat16": 2 * parameters,
        "tensors left out": model.model.skipped_tensors().len(),
    })
}

/// Special tokens, and what the chat template makes of a short conversation.
fn tokenizer(model: &LocalModel) -> Result<Value, LmError> {
    let tokenizer = &model.tokenizer;
    let name = |id: Option<u32>| id.and_then(|id| tokenizer.token(id));
    let stops: Vec<_> = tokenizer.stop_ids().iter().map(|&id| tokenizer.token(id)).collect();
    let messages = [Message::user("Why is the sky blue?")];
    let render = match tokenizer.chat_template() {
        Some(_) => Some(tokenizer.render(&messages, &RenderOptions::generation())?),
        None => None,
    };
    Ok(json!({
        "tokens": tokenizer.vocab_size(), "bos": name(tokenizer.bos_id()),
        "eos": name(tokenizer.eos_id()), "stops": stops, "template render": render,
    }))
}

fn describe(adapter: &Adapter) -> Value {
    let mut layers: Vec<serde_json::Map<String, Value>> = Vec::new();
    for module in adapter.norms() {
        layers.resize_with(layers.len().max(module.layer + 1), serde_json::Map::new);
        let norm = (module.norm * 1e4).round() / 1e4;
        layers[module.layer].insert(module.projection.name().to_owned(), json!(norm));
    }
    json!({
        "rank": adapter.config().rank, "alpha": adapter.config().alpha,
        "targets": adapter.config().target_modules, "parameters": adapter.num_parameters(),
        "tensors left out": adapter.skipped_tensors().len(), "norm": adapter.norm(),
        "norms by layer": layers,
    })
}

/// A tree of names and values, one a line.
fn print(value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let line = |name: &str, value: &Value| match value {
        Value::Object(fields) if fields.values().any(|v| v.is_object() || v.is_array()) => {
            println!("{indent}{name}");
            print(value, depth + 1);
        }
        Value::Object(fields) if depth == 0 || fields.len() < 4 => {
            println!("{indent}{name}");
            print(value, depth + 1);
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            println!("{indent}{name}");
            items.iter().enumerate().for_each(|(at, item)| println!("{indent}  {at}: {item}"));
        }
        _ => println!("{indent}{name}: {value}"),
    };
    if let Value::Object(fields) = value {
        fields.iter().for_each(|(name, value)| line(name, value));
    }
}
