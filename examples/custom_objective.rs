//! An objective of one's own, trained with the library's mechanics: batches by length, accumulation,
//! clipping, AdamW, a held-out split with early stopping, checkpoints, resume.
//!
//! The objective is unlikelihood training (Welleck et al. 2019, arXiv:1908.04319): make the chosen reply
//! likely, and every token of the rejected one unlikely. It is one function, `cost`; everything else is
//! `ingrain::train::fit`. It trains on the persona's held-out pairs, so that it needs no run before it.
//!
//! Needs nothing prepared (fetches the built-in model, 98 MB, once) and takes a minute or two on two CPU
//! cores. Run it twice to see it reuse what it has done; stop it with Ctrl-C to see it save first.
//!
//! What to expect: a line a step, the best held-out loss, and the folder of the adapter.
//!
//! ```sh
//! cargo run --release --example custom_objective
//! cargo run --release --example custom_objective -- --persona poeticism --epochs 3
//! ```

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::dpo::{PairLogps, TokenizedPair, tokenize_pairs};
use ingrain::lm::{Adapter, CausalLm, LoraConfig, TokenBatch};
use ingrain::train::{
    Cost, EvaluationConfig, ExampleSize, Keep, Metrics, Objective, TrainConfig, TrainError,
    TrainRun, fit,
};

/// Train an adapter on an objective that is written in this file
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    #[command(flatten)]
    persona: support::TrainedPersonaArgs,
    /// Passes over the pairs
    #[arg(long, default_value_t = 2)]
    epochs: u64,
    /// Weight of the rejected replies
    #[arg(long, default_value_t = 0.5)]
    alpha: f64,
    /// Where checkpoints, train.jsonl and the adapter go
    #[arg(long, default_value = "runs/custom-objective")]
    out: PathBuf,
}

struct Unlikelihood<'a> {
    model: &'a CausalLm,
    pairs: &'a [TokenizedPair],
    alpha: f64,
}

impl Objective for Unlikelihood<'_> {
    fn cost(&self, examples: &[usize], adapter: &Adapter) -> Result<Cost, TrainError> {
        let side = |chosen: bool| {
            let of = move |&at: &usize| match chosen {
                true => &self.pairs[at].chosen,
                false => &self.pairs[at].rejected,
            };
            examples.iter().map(of)
        };
        let sequences: Vec<_> = side(true).chain(side(false)).collect();
        let batch = TokenBatch::new(&sequences, self.model.device());
        let logps = self.model.completion_logprobs(&batch, Some(adapter));
        let logps = PairLogps::from_flat(logps, &batch.counts);
        // -log p of what is wanted, -log(1 - p) of what is not; means over tokens.
        let wanted = logps.chosen.mean().neg();
        let unwanted =
            logps.rejected.map(|x| x.exp().neg().add_scalar(1.0 + 1e-6).log()).mean().neg();
        let loss = wanted + unwanted.mul_scalar(self.alpha);
        Ok(Cost {
            loss: loss.sum(),
            weight: examples.len() as f64,
            tokens: sequences.iter().map(|s| s.ids.len() as u64).sum(),
            metrics: Metrics::default(),
        })
    }

    fn example_name(&self, example: usize) -> String {
        self.pairs[example].id.clone()
    }

    /// A checkpoint is continued only by the objective that it was made with.
    fn fingerprint(&self) -> String {
        format!("unlikelihood {} {:?}", self.alpha, self.pairs)
    }
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let terminal = support::Terminal::new();
        let model = args.model.load(&terminal)?;
        let persona = args.persona.find()?;
        let (pairs, _) = tokenize_pairs(&persona.heldout_pairs()?, &model.tokenizer, 512)?;

        let objective = Unlikelihood { model: &model.model, pairs: &pairs, alpha: args.alpha };
        let sizes = pairs.iter().map(|p| ExampleSize { rows: 2, width: p.width() }).collect();
        let lora = LoraConfig { rank: 16, alpha: 32.0, ..LoraConfig::default() };
        let initial = Adapter::init(&model.model, &lora, 1)?;
        let config = TrainConfig {
            epochs: args.epochs,
            batch_size: 4,
            learning_rate: 4e-4,
            checkpoint_every_steps: 2,
            evaluation: EvaluationConfig {
                share: 0.2,
                every_steps: 2,
                patience: 3,
                keep: Keep::Best,
            },
            ..TrainConfig::default()
        };
        let run = TrainRun {
            stage: "unlikelihood",
            dir: &args.out,
            resume: true,
            observer: &terminal,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        let trained = fit(&objective, sizes, initial, &config, &run)?;
        trained.parameters.save(&args.out.join("adapter"), &model.identity.source)?;
        if let Some(best) = trained.best {
            println!(
                "{} steps; best at step {}, held-out loss {:.3}",
                trained.steps, best.step, best.loss
            );
        }
        println!("Adapter: {}", args.out.join("adapter").display());
        Ok(())
    })
}
