//! Serves blind, shuffled pairs of replies of a run to human raters, in a browser on this machine.
//!
//! Needs a run directory with `eval/coherence/cases.jsonl` (the coherence suite) or `pairs.jsonl`; no
//! model. Runs until Ctrl-C. Labels go to `eval/labels.jsonl` in the run directory as they are given, so
//! a rater can stop at any time and go on under the same name.
//!
//! ```sh
//! cargo run --release --example annotate -- runs/sarcasm
//! ```
//!
//! What to expect: the address to open, then nothing. Keys: left arrow or A, right arrow or B, down arrow
//! or T for neither, Backspace to go back.
#![expect(clippy::print_stdout, reason = "an example prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
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
    support::run(|| {
        let args = Args::parse();
        let annotation = Annotation::open(&args.run, args.seed)?;
        let server = AnnotationServer::bind(annotation, args.port)?;
        println!("open {}   (Ctrl-C ends; labels are kept)", server.url());
        server.serve(&support::interrupt_on_ctrl_c()?)?;
        Ok(())
    })
}
