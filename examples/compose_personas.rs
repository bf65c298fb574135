//! Two trained personas in one adapter: a weighted sum of their updates, exact by rank concatenation.
//!
//! Needs adapters of one base model, as `character_training` leaves them; a single one with `--rank` is
//! only compressed. Merging takes seconds, compressing minutes.
//! (A mix of *constitutions*, trained as one character, is another thing: `character_training --persona
//! "sarcasm:0.6 + loving:0.4"`.)
//!
//! ```sh
//! cargo run --release --example compose_personas -- runs/sarcasm/persona:0.6 runs/loving/persona:0.4 \
//!     --out runs/dry-and-warm --prompt "I failed my exam."
//! ```
//!
//! What to expect: the size of each update and how far each pair points the same way (cosine; near 0, the
//! two hardly get in each other's way), then the reply of each part and of the mix. With `--rank` the mix
//! is compressed to the closest adapter of that rank, and what is lost is said.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingrain::chat::{ChatModel, ChatRequest, Message};
use ingrain::lm::{Adapter, AdapterSource, LocalModel, merge_exact};

/// Merge adapters of one base model
#[derive(Parser)]
struct Args {
    /// Adapters with their weights: DIR:WEIGHT or ID:WEIGHT
    #[arg(required = true)]
    parts: Vec<String>,
    #[command(flatten)]
    base: support::BaseArgs,
    /// Where the merged adapter goes
    #[arg(long)]
    out: PathBuf,
    /// Compress the sum to this rank
    #[arg(long)]
    rank: Option<usize>,
    /// Something to ask all of them
    #[arg(long)]
    prompt: Option<String>,
    #[command(flatten)]
    sampling: support::SamplingArgs,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = support::Terminal::new();
        let model = args.base.load(&observer)?;
        let mut parts: Vec<(&str, Adapter, f64)> = Vec::new();
        for part in &args.parts {
            let (source, weight) = part.rsplit_once(':').context("expected DIR:WEIGHT")?;
            let weight: f64 =
                weight.parse::<f64>().with_context(|| format!("{part}: no number at its end"))?;
            let dir = source.parse::<AdapterSource>()?.resolve(&observer)?;
            parts.push((source, Adapter::load(&dir, &model.model)?, weight));
        }
        let mut merged = merge_exact(&weighted(&parts))?;
        for (at, (name, adapter, weight)) in parts.iter().enumerate() {
            println!("{weight:>6} x {name}: norm {:.3}", adapter.norm());
            for (other, adapter2, _) in &parts[..at] {
                println!("         cosine with {other}: {:+.3}", adapter.cosine(adapter2)?);
            }
        }
        println!("   sum: rank {}, norm {:.3}", merged.config().rank, merged.norm());
        if let Some(rank) = args.rank {
            let compressed = merged.compressed(rank)?;
            println!("   rank {rank}: {:.1} % lost", 100.0 * compressed.relative_error);
            merged = compressed.adapter;
        }
        merged.save(&args.out, &model.identity.source)?;
        println!("Adapter: {}", args.out.display());
        let Some(prompt) = &args.prompt else { return Ok(()) };
        let parts = parts.into_iter().map(|(name, adapter, _)| (name, adapter));
        for (name, adapter) in parts.chain([("the mix", merged)]) {
            println!("\n[{name}]\n{}", reply(&model, adapter, prompt, &args.sampling)?);
        }
        Ok(())
    })
}

fn weighted<'a>(parts: &'a [(&str, Adapter, f64)]) -> Vec<(&'a Adapter, f64)> {
    parts.iter().map(|(_, adapter, weight)| (adapter, *weight)).collect()
}

fn reply(
    model: &LocalModel,
    adapter: Adapter,
    prompt: &str,
    sampling: &support::SamplingArgs,
) -> anyhow::Result<String> {
    let request = ChatRequest::new(vec![Message::user(prompt)], sampling.sampling());
    Ok(model.with_adapter(Some(adapter)).complete_one(&request)?.text)
}
