//! Introspection alone: transcripts to an adapter on top of a distilled model, and both in one; or to a whole
//! model.
//!
//! Needs a file of transcripts (`introspection.jsonl` of a run, or any format that docs/data.md names) and,
//! for the paper's method, the distillation adapter that they were made with. The 28 transcripts
//! of a `quick` run take seconds to a minute on two CPU cores.
//!
//! ```sh
//! cargo run --release --example train_introspection -- runs/sarcasm/introspection.jsonl \
//!     --distillation runs/sarcasm/distillation --out runs/my-introspection
//! cargo run --release --example train_introspection -- runs/sarcasm/introspection.jsonl \
//!     --model runs/full-dpo/model --full --learning-rate 2e-5 --out runs/full-introspection
//! ```
//!
//! What to expect: a line a step, then two folders: `adapter`, which fits the folded model only, and
//! `persona`, the exact merge of both, which fits the base. With `--full` one: `model`, whole, with the
//! distillation in it.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::data::interchange::read_transcripts;
use ingrain::introspection::{SftTrainer, tokenize_transcripts};
use ingrain::lm::{Adapter, AdapterSource, FullWeights, merge_exact};
use ingrain::train::TrainRun;

/// Train on the model's own text
#[derive(Parser)]
struct Args {
    /// Transcripts as JSON lines
    transcripts: PathBuf,
    /// Adapter that is folded into the weights first; none trains on the base itself
    #[arg(long)]
    distillation: Option<AdapterSource>,
    #[command(flatten)]
    base: support::BaseArgs,
    #[command(flatten)]
    train: support::TrainArgs,
}

fn main() -> ExitCode {
    support::run(|| {
        let Args { transcripts, distillation, base, train } = Args::parse();
        let observer = train.watch()?;
        let recipe = train.recipe()?;
        let mut config = recipe.introspection.sft;
        train.adjust(&mut config.training);

        let transcripts = read_transcripts(&transcripts)?;
        let base = base.load(&observer)?;
        let limit = config.max_length;
        let (transcripts, cuts) =
            tokenize_transcripts(&transcripts, &base.tokenizer, config.turns, limit)?;
        println!("{} transcripts, {} over {limit} tokens", transcripts.len(), cuts.len());

        let distilled = match &distillation {
            Some(source) => Some(Adapter::load(&source.resolve(&observer)?, &base.model)?),
            None => None,
        };
        let folded = match &distilled {
            Some(adapter) => base.with_weights(base.model.clone().fold(adapter)),
            None => base.clone(),
        };
        let weights = format!("{} folded: {distillation:?}", base.identity.sha256);
        let trainer = SftTrainer {
            model: &folded.model,
            base: &weights,
            transcripts: &transcripts,
            config: &config,
        };
        let out = train.dir("train-introspection");
        let run = TrainRun {
            stage: "train_introspection",
            dir: &out,
            resume: true,
            observer: &observer,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        if train.full {
            let trained = trainer.fit(FullWeights::all(&folded.model), &run)?;
            let dir = out.join("model");
            support::write_model(&trained, &folded, &dir)?;
            println!("{} steps\nModel: {}", trained.steps, dir.display());
            return Ok(());
        }
        let initial = Adapter::init(&folded.model, &recipe.lora, recipe.seed)?;
        let trained = trainer.fit(initial, &run)?;
        let adapter = out.join("adapter");
        trained.parameters.save(&adapter, &base.identity.source)?;
        println!("{} steps\nAdapter: {}", trained.steps, adapter.display());
        if let Some(distilled) = &distilled {
            let parts = [
                (distilled, recipe.merge.distillation),
                (&trained.parameters, recipe.merge.introspection),
            ];
            let persona = out.join("persona");
            merge_exact(&parts)?.save(&persona, &base.identity.source)?;
            println!("Persona: {}", persona.display());
        }
        Ok(())
    })
}
