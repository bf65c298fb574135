//! Serves blind, shuffled pairs of replies of a run to human raters, in a browser on this machine.
//!
//! Needs a run directory with `eval/coherence/cases.jsonl` (the coherence suite) or `pairs.jsonl`; no
//! model. Runs until Ctrl-C. Labels go to `eval/labels.jsonl` in the run directory as they are given, so
//! a rater can stop at any time and go on under the same name.
//!
//! ```sh
//! cargo run --release --example annotate -- runs/x
//! ```
//!
//! What to expect: the address to open, then nothing. Keys: left arrow or A, right arrow or B, down arrow
//! or T for neither, Backspace to go back.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingrain::run::Interrupt;
use ingrain::serve::{Annotation, AnnotationServer};

/// Let people judge pairs of replies, blind
#[derive(Parser)]
struct Args {
    /// Run directory
    run: PathBuf,
    /// Port on 127.0.0.1; 0 takes any that is free
    #[arg(long, default_value_t = 7861)]
    port: u16,
    /// Seed of order and sides; keep it for a run
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let annotation = Annotation::open(&args.run, args.seed)?;
    let server = AnnotationServer::bind(annotation, args.port)?;
    println!("open {}   (Ctrl-C ends; labels are kept)", server.url());
    let interrupt = Interrupt::new();
    let stop = interrupt.clone();
    ctrlc::set_handler(move || stop.request()).context("Ctrl-C cannot be handled")?;
    server.serve(&interrupt)?;
    Ok(())
}
