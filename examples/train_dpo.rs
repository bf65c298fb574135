//! Distillation alone: preference pairs to a LoRA adapter, or to a whole model, with the objective of a recipe.
//!
//! Needs a file of pairs: `pairs.jsonl` of a run, or any format that docs/data.md names. The built-in
//! model (98 MB) is fetched on first use. The 100 pairs of a `quick` run take minutes on two CPU cores; Ctrl-C
//! saves, and the same command goes on.
//!
//! ```sh
//! cargo run --release --example train_dpo -- runs/sarcasm/pairs.jsonl --out runs/my-dpo
//! cargo run --release --example train_dpo -- personas/sarcasm.heldout.jsonl --epochs 1   # to try it out
//! cargo run --release --example train_dpo -- runs/sarcasm/pairs.jsonl --full --learning-rate 5e-5 --out runs/full-dpo
//! ```
//!
//! What to expect: a line a step, then how the margin between chosen and rejected replies went, and the
//! folder of the adapter; with `--full` that of a model, which every `--model` takes. Watch `nll`: it should
//! fall, or only the rejected replies were pushed away.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::data::interchange::read_pairs;
use ingrain::dpo::{DpoTrainer, tokenize_pairs};
use ingrain::lm::{Adapter, FullWeights};
use ingrain::train::{TrainRun, Trained};

/// Train on preference pairs
#[derive(Parser)]
struct Args {
    /// Pairs as JSON lines
    pairs: PathBuf,
    #[command(flatten)]
    model: support::ModelArgs,
    #[command(flatten)]
    train: support::TrainArgs,
}

fn main() -> ExitCode {
    support::run(|| {
        let Args { pairs, model, train } = Args::parse();
        let observer = train.watch()?;
        let recipe = train.recipe()?;
        let mut config = recipe.distillation;
        train.adjust(&mut config.training);

        let pairs = read_pairs(&pairs)?;
        let model = model.load(&observer)?;
        let (pairs, too_long) = tokenize_pairs(&pairs, &model.tokenizer, config.max_length)?;
        println!("{} pairs, {} too long", pairs.len(), too_long.len());

        let trainer = DpoTrainer {
            model: &model.model,
            base: &model.identity.sha256,
            pairs: &pairs,
            config: &config,
            reference_cache: None,
        };
        let out = train.dir("train-dpo");
        let run = TrainRun {
            stage: "train_dpo",
            dir: &out,
            resume: true,
            observer: &observer,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        // An adapter that was given goes on learning; the reference is the model without it.
        let given = model.adapter.clone();
        if train.full {
            let mut initial = FullWeights::all(&model.model);
            initial.adapter = given;
            let trained = trainer.fit(initial, &run)?;
            print_end(&trained);
            let dir = out.join("model");
            support::write_model(&trained, &model, &dir)?;
            println!("Model: {}", dir.display());
        } else {
            let fresh = || Adapter::init(&model.model, &recipe.lora, recipe.seed);
            let trained = trainer.fit(given.map_or_else(fresh, Ok)?, &run)?;
            print_end(&trained);
            let dir = out.join("adapter");
            trained.parameters.save(&dir, &model.identity.source)?;
            println!("Adapter: {}", dir.display());
        }
        Ok(())
    })
}

fn print_end<P>(trained: &Trained<P>) {
    if let (Some(margin), Some(nll)) = (trained.last.get("margin"), trained.last.get("nll")) {
        println!("{} steps; at the end margin {margin:.2}, nll {nll:.3}", trained.steps);
    }
}
