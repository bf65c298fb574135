//! Writes a model as a directory in HF layout: the very base weights, or base and adapter in one.
//!
//! Needs nothing prepared, or an adapter; the built-in model takes 540 MB of disk and a few seconds. Expect the
//! path of a directory that PEFT, vLLM and transformers load.
//!
//! ```sh
//! cargo run --release --example export -- --dequantized --out exported/base
//! cargo run --release --example export -- --adapter runs/sarcasm/persona --merged --out exported/merged
//! ```

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Export a model as an HF directory
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
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let model = args.model.load(&support::Terminal::new())?;
        let model = if args.dequantized { model.with_adapter(None) } else { model };
        model.export(&args.out)?;
        println!("{}", args.out.display());
        Ok(())
    })
}
