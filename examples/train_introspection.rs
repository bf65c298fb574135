//! Introspection alone: transcripts to an adapter on top of a distilled model, and both in one.
//!
//! Needs a file of transcripts (`introspection.jsonl` of a run, or any format that docs/data.md names) and,
//! for the paper's method, the distillation adapter that they were made with. The 28 transcripts
//! of a `quick` run take seconds to a minute on two CPU cores.
//!
//! ```sh
//! cargo run --release --example train_introspection -- runs/sarcasm/introspection.jsonl \
//!     --distillation runs/sarcasm/distillation --out runs/my-introspection
//! ```
//!
//! What to expect: a line a step, then two folders: `adapter`, which fits the folded model only, and
//! `persona`, the exact merge of both, which fits the base.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::data::interchange::read_transcripts;
use ingrain::introspection::{SftTrainer, tokenize_transcripts};
use ingrain::lm::{Adapter, AdapterSource, merge_exact};
use ingrain::train::TrainRun;

/// Train an adapter on the model's own text
#[derive(Parser)]
struct Args {
    /// Transcripts as JSON lines
    transcripts: PathBuf,
    /// Adapter that is folded into the weights first; none trains on the base itself
    #[arg(long)]
    distillation: Option<AdapterSource>,
    /// Base model: built-in alias, HF directory, .gguf file or hub id
    #[arg(long, default_value = ingrain::lm::BUILTIN_MODEL)]
    model: String,
    /// Whose `introspection.sft`, `lora` and `merge` settings: quick, paper, or a YAML file
    #[arg(long, default_value = "quick")]
    recipe: String,
    /// cpu, ndarray, cuda or cuda:N (the last three by feature)
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Where checkpoints, train.jsonl and the adapters go
    #[arg(long, default_value = "runs/train-introspection")]
    out: PathBuf,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = support::Terminal::new();
        let recipe = ingrain::Recipe::named_or_file(&args.recipe)?;
        let config = recipe.introspection.sft;

        let transcripts = read_transcripts(&args.transcripts)?;
        let base = support::load_model(&args.model, &args.device, &observer)?;
        let limit = config.max_length;
        let (transcripts, cuts) =
            tokenize_transcripts(&transcripts, &base.tokenizer, config.turns, limit)?;
        println!("{} transcripts, {} over {limit} tokens", transcripts.len(), cuts.len());

        let distilled = match &args.distillation {
            Some(source) => Some(Adapter::load(&source.resolve(&observer)?, &base.model)?),
            None => None,
        };
        let model = match &distilled {
            Some(adapter) => base.model.clone().fold(adapter),
            None => base.model.clone(),
        };
        let weights = format!("{} folded: {:?}", base.identity.sha256, args.distillation);
        let trainer = SftTrainer {
            model: &model,
            base: &weights,
            transcripts: &transcripts,
            config: &config,
        };
        let run = TrainRun {
            stage: "train_introspection",
            dir: &args.out,
            resume: true,
            observer: &observer,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        let initial = Adapter::init(&model, &recipe.lora, recipe.seed)?;
        let trained = trainer.fit(initial, &run)?;
        let adapter = args.out.join("adapter");
        trained.parameters.save(&adapter, &base.identity.source)?;
        println!("{} steps\nAdapter: {}", trained.steps, adapter.display());
        if let Some(distilled) = &distilled {
            let parts = [
                (distilled, recipe.merge.distillation),
                (&trained.parameters, recipe.merge.introspection),
            ];
            let persona = args.out.join("persona");
            merge_exact(&parts)?.save(&persona, &base.identity.source)?;
            println!("Persona: {}", persona.display());
        }
        Ok(())
    })
}
