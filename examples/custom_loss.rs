//! A preference loss of one's own, trained like the built-in ones.
//!
//! The loss is Cal-DPO (Xiao et al. 2024, arXiv:2412.14516): DPO on log-ratios without a scale, and two
//! squares that pull the chosen log-ratio to `+1 / (2 beta)` and the rejected one to minus that, so that
//! the chosen reply cannot become less likely while the margin grows. It is one function, `forward`;
//! everything else is `DpoTrainer`. A weighted sum with built-in losses is written out below.
//!
//! Needs nothing prepared (fetches the built-in model, 98 MB, once) and takes a minute or two on two CPU
//! cores: it trains on the persona's held-out pairs, so that it needs no run before it.
//!
//! ```sh
//! cargo run --release --example custom_loss
//! cargo run --release --example custom_loss -- --persona poeticism --beta 0.05
//! ```
//!
//! What to expect: a line a step, then the reward of chosen and rejected replies: the first above 0, the
//! second below.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::activation::log_sigmoid;
use clap::Parser;
use ingrain::dpo::{
    DpoConfig, DpoError, DpoTrainer, LossOutput, Nll, PairLogps, PreferenceLoss, WeightedSum,
    tokenize_pairs,
};
use ingrain::lm::{Adapter, LoraConfig};
use ingrain::train::{TrainConfig, TrainRun};

/// Train an adapter on a loss that is written in this file
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    #[command(flatten)]
    persona: support::TrainedPersonaArgs,
    /// The log-ratios aimed at are +-1 / (2 beta)
    #[arg(long, default_value_t = 0.1)]
    beta: f64,
    /// Weight of the plain likelihood of the chosen replies beside it
    #[arg(long, default_value_t = 0.1)]
    nll: f64,
    /// Passes over the pairs
    #[arg(long, default_value_t = 2)]
    epochs: u64,
    /// Where checkpoints, train.jsonl and the adapter go
    #[arg(long, default_value = "runs/custom-loss")]
    out: PathBuf,
}

struct CalDpo {
    beta: f64,
}

impl PreferenceLoss for CalDpo {
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let reference = reference.ok_or(DpoError::MissingReference { loss: "cal_dpo" })?;
        // `[pairs]` each: log pi - log ref, summed over the tokens of a reply.
        let chosen = policy.chosen.minus(&reference.chosen).sum();
        let rejected = policy.rejected.minus(&reference.rejected).sum();
        let aim = 0.5 / self.beta;
        let contrast = log_sigmoid(chosen.clone() - rejected.clone()).neg();
        let calibration = chosen.sub_scalar(aim).square() + rejected.add_scalar(aim).square();
        Ok(LossOutput::new(contrast + calibration))
    }
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = support::Terminal::new();
        let persona = args.persona.find()?;
        let model = args.model.load(&observer)?;
        let (pairs, _) = tokenize_pairs(&persona.heldout_pairs()?, &model.tokenizer, 512)?;

        let loss = WeightedSum::new().with("cal_dpo", 1.0, CalDpo { beta: args.beta }).with(
            "nll",
            args.nll,
            Nll::default(),
        );
        // Names loss and settings: a checkpoint is continued only by what it was made with.
        let name = format!("cal_dpo {} + {} nll", args.beta, args.nll);
        let config = DpoConfig {
            training: TrainConfig {
                epochs: args.epochs,
                batch_size: 4,
                learning_rate: 2e-4,
                ..TrainConfig::default()
            },
            ..DpoConfig::default()
        };
        let trainer = DpoTrainer {
            model: &model.model,
            base: &model.identity.sha256,
            pairs: &pairs,
            config: &config,
            reference_cache: None,
        };
        let lora = LoraConfig { rank: 16, alpha: 32.0, ..LoraConfig::default() };
        let run = TrainRun {
            stage: "custom_loss",
            dir: &args.out,
            resume: true,
            observer: &observer,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        let initial = Adapter::init(&model.model, &lora, 1)?;
        let trained = trainer.fit_loss(loss, &name, initial, &run)?;
        trained.parameters.save(&args.out.join("adapter"), &model.identity.source)?;
        for metric in ["reward_chosen", "reward_rejected", "accuracy", "loss_cal_dpo"] {
            if let Some(value) = trained.last.get(metric) {
                println!("{metric:>16} {value:+.3}");
            }
        }
        println!("Adapter: {}", args.out.join("adapter").display());
        Ok(())
    })
}
