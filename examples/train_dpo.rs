//! Distillation alone: preference pairs to a LoRA adapter, with the objective of a recipe.
//!
//! Needs a file of pairs: `pairs.jsonl` of a run, or any format that docs/data.md names. The built-in
//! model (98 MB) is fetched on first use. The 100 pairs of a `quick` run take minutes on two CPU cores; Ctrl-C
//! saves, and the same command goes on.
//!
//! ```sh
//! cargo run --release --example train_dpo -- runs/sarcasm/pairs.jsonl --out runs/my-dpo
//! cargo run --release --example train_dpo -- personas/sarcasm.heldout.jsonl --epochs 1   # to try it out
//! ```
//!
//! What to expect: a line a step, then how the margin between chosen and rejected replies went, and the
//! folder of the adapter. Watch `nll`: it should fall, or only the rejected replies were pushed away.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::data::interchange::read_pairs;
use ingrain::dpo::{DpoTrainer, tokenize_pairs};
use ingrain::lm::Adapter;
use ingrain::train::TrainRun;

/// Train an adapter on preference pairs
#[derive(Parser)]
struct Args {
    /// Pairs as JSON lines
    pairs: PathBuf,
    #[command(flatten)]
    model: support::ModelArgs,
    /// Whose `distillation` and `lora` settings: quick, paper, or a YAML file
    #[arg(long, default_value = "quick")]
    recipe: String,
    /// Passes over the pairs [default: the recipe's]
    #[arg(long)]
    epochs: Option<u64>,
    /// Where checkpoints, train.jsonl and the adapter go
    #[arg(long, default_value = "runs/train-dpo")]
    out: PathBuf,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = support::Terminal::new();
        let recipe = ingrain::Recipe::named_or_file(&args.recipe)?;
        let mut config = recipe.distillation;
        config.training.epochs = args.epochs.unwrap_or(config.training.epochs);

        let pairs = read_pairs(&args.pairs)?;
        let model = args.model.load(&observer)?;
        let (pairs, too_long) = tokenize_pairs(&pairs, &model.tokenizer, config.max_length)?;
        println!("{} pairs, {} too long", pairs.len(), too_long.len());

        let trainer = DpoTrainer {
            model: &model.model,
            base: &model.identity.sha256,
            pairs: &pairs,
            config: &config,
            reference_cache: None,
        };
        // An adapter that was given goes on learning; its reference is the model without it.
        let initial = match model.adapter {
            Some(adapter) => adapter,
            None => Adapter::init(&model.model, &recipe.lora, recipe.seed)?,
        };
        let run = TrainRun {
            stage: "train_dpo",
            dir: &args.out,
            resume: true,
            observer: &observer,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        let trained = trainer.fit(initial, &run)?;
        let adapter = args.out.join("adapter");
        trained.parameters.save(&adapter, &model.identity.source)?;
        if let (Some(margin), Some(nll)) = (trained.last.get("margin"), trained.last.get("nll")) {
            println!("{} steps; at the end margin {margin:.2}, nll {nll:.3}", trained.steps);
        }
        println!("Adapter: {}", adapter.display());
        Ok(())
    })
}
