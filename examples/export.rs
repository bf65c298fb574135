//! Writes a model as a directory in HF layout: the very base weights, or base and adapter in one. Or hands
//! the distillation of a run to another training engine, or its data to another tool.
//!
//! Needs nothing prepared, or the adapter or run that it names. Expect the paths that were written.
//! The built-in model takes 540 MB and a few seconds; data, configuration and launch script for an engine
//! take no time.
//!
//! ```sh
//! cargo run --release --example export -- --dequantized --out exported/base
//! cargo run --release --example export -- --adapter runs/sarcasm/persona --merged --out exported/merged
//! cargo run --release --example export -- --to trl --run runs/sarcasm --out exported/trl --leave-out squared_log_ratio
//! cargo run --release --example export -- --data axolotl --run runs/sarcasm --out exported/axolotl
//! ```
//!
//! What the engine trains (`exported/trl/adapter`) comes back by the recipe's
//! `start_from: {distillation_adapter: exported/trl/adapter}`.

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ingrain::data::interchange::{
    Engine, PairFormat, TranscriptFormat, read_pairs, read_transcripts, write_pairs,
    write_transcripts,
};
use ingrain::{export_run_distillation, export_run_introspection};

/// Export a model as an HF directory, a run's distillation to another engine, its data to another tool
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    /// Directory to write
    #[arg(long)]
    out: PathBuf,
    /// The base weights as they are, in f32 (the default without --adapter)
    #[arg(long, conflicts_with = "merged")]
    dequantized: bool,
    /// Base and adapter folded into one (the default with --adapter)
    #[arg(long, requires = "adapter")]
    merged: bool,
    /// Writes data, configuration and launch script for this engine in place of a model
    #[arg(long, value_enum, requires = "run")]
    to: Option<To>,
    /// Writes pairs and conversations in this tool's format in place of a model
    #[arg(long, value_enum, requires = "run", conflicts_with = "to")]
    data: Option<Format>,
    /// Run directory that is exported; its data stages must be done
    #[arg(long)]
    run: Option<PathBuf>,
    /// Which training is handed over; introspection needs --base, the model with the distillation merged in
    #[arg(long, value_enum, default_value = "distillation", requires = "to")]
    training: Training,
    /// Base model as the engine is to load it: HF directory or hub id [default: the recipe's]
    #[arg(long, requires = "to", required_if_eq("training", "introspection"))]
    base: Option<String>,
    /// Terms that the engine cannot express and that may be left out, by name
    #[arg(long, value_delimiter = ',', requires = "to")]
    leave_out: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    Openrlhf,
    Trl,
}

#[derive(Clone, Copy, ValueEnum)]
enum Training {
    Distillation,
    Introspection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// TRL, explicit prompt: Ingrain's own
    Trl,
    /// TRL, implicit prompt
    TrlImplicit,
    Openrlhf,
    Axolotl,
    /// LLaMA-Factory
    Sharegpt,
    /// OpenAI preference fine-tuning and fine-tuning
    Openai,
    #[cfg(feature = "parquet")]
    Parquet,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        if let (Some(to), Some(run)) = (args.to, &args.run) {
            return export_run(to, run, &args);
        }
        if let (Some(format), Some(run)) = (args.data, &args.run) {
            return export_data(format, run, &args.out);
        }
        let model = args.model.load(&support::Terminal::new())?;
        let model = if args.dequantized { model.with_adapter(None) } else { model };
        model.export(&args.out)?;
        println!("{}", args.out.display());
        Ok(())
    })
}

fn export_run(to: To, run: &Path, args: &Args) -> anyhow::Result<()> {
    let engine = match to {
        To::Openrlhf => Engine::OpenRlhf,
        To::Trl => Engine::Trl,
    };
    let (out, agreed, base) = (&args.out, &args.leave_out, args.base.as_deref());
    let export = match args.training {
        Training::Distillation => export_run_distillation(engine, run, out, base, agreed)?,
        Training::Introspection => {
            let terminal = support::Terminal::new();
            let base = base.unwrap_or_default();
            export_run_introspection(engine, run, out, base, agreed, &terminal)?
        }
    };
    for file in &export.files {
        println!("{}", file.display());
    }
    if !export.left_out.is_empty() {
        println!("left out by consent: {}", export.left_out.join(", "));
    }
    Ok(())
}

fn export_data(format: Format, run: &Path, out: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    let pairs = read_pairs(run.join("pairs.jsonl"))?;
    let file = run.join("introspection.jsonl");
    let transcripts = if file.is_file() { read_transcripts(file)? } else { Vec::new() };
    let (pair_format, format) = match format {
        Format::Trl => (PairFormat::TrlExplicit, TranscriptFormat::Ingrain),
        Format::TrlImplicit => (PairFormat::TrlImplicit, TranscriptFormat::Ingrain),
        Format::Openrlhf => (PairFormat::OpenRlhf, TranscriptFormat::Ingrain),
        Format::Axolotl => (PairFormat::Axolotl, TranscriptFormat::Axolotl),
        Format::Sharegpt => (PairFormat::ShareGpt, TranscriptFormat::ShareGpt),
        Format::Openai => (PairFormat::OpenAi, TranscriptFormat::OpenAi),
        #[cfg(feature = "parquet")]
        Format::Parquet => {
            use ingrain::data::interchange::{write_pairs_parquet, write_transcripts_parquet};
            write_pairs_parquet(out.join("pairs.parquet"), &pairs)?;
            write_transcripts_parquet(out.join("introspection.parquet"), &transcripts)?;
            return say_written(out, pairs.len(), transcripts.len());
        }
    };
    write_pairs(out.join("pairs.jsonl"), &pairs, pair_format)?;
    if !transcripts.is_empty() {
        write_transcripts(out.join("introspection.jsonl"), &transcripts, format)?;
    }
    say_written(out, pairs.len(), transcripts.len())
}

fn say_written(out: &Path, pairs: usize, transcripts: usize) -> anyhow::Result<()> {
    println!("{pairs} pairs and {transcripts} conversations in {}", out.display());
    Ok(())
}
