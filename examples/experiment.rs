//! The paper's tables at a small scale: trains personas, asks every method the same questions, grades, judges.
//!
//! Needs a plan, and what it names: personas with recorded replies, a judge's model. Takes hours; made to be
//! killed and started again, in the background. What is finished lies in the plan's `results` folder, small
//! enough to be kept with the code, and is never asked for again: commit it after each sitting, and another
//! machine goes on. `--amount` says what there is to do without doing it.
//!
//! ```sh
//! cargo run --release --example experiment -- docs/results/experiment.yaml --amount
//! nohup cargo run --release --example experiment -- docs/results/experiment.yaml > experiment.log 2>&1 &
//! ```
//!
//! Expect `suites/*.json` and `TABLES.md` in the results folder, brought up to date after every persona: recognition
//! first, then its other scores.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::constitution::PromptSet;
use ingrain::eval::NamedGrader;
use ingrain::{Amount, Experiment, ExperimentPlan};

/// Run an experiment, or go on with it
#[derive(Parser)]
struct Args {
    /// The plan, as YAML
    plan: PathBuf,
    /// Say what there is to do, and do nothing
    #[arg(long)]
    amount: bool,
    #[command(flatten)]
    device: support::DeviceArgs,
    /// Directory of a classifier (`classify train`) that grades beside the plan's graders
    #[arg(long)]
    classifier: Option<PathBuf>,
    /// The judge's model in place of the plan's
    #[arg(long)]
    judge: Option<String>,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let terminal = support::Terminal::new();
        let mut plan = ExperimentPlan::read(&args.plan)?;
        if let (Some(judge), Some(model)) = (&mut plan.judge, args.judge.clone()) {
            judge.model = model;
        }
        let results = plan.results.clone();
        let load = |dir: &PathBuf| support::classifier(dir, &args.device.name, &terminal);
        let classifier = args.classifier.as_ref().map(load).transpose()?;
        let graders =
            classifier.iter().map(|(name, grader)| NamedGrader { name, grader }).collect();
        let experiment = Experiment {
            plan,
            folders: support::persona_folders(),
            prompts: PromptSet::embedded(),
            device: args.device.name.clone(),
            graders,
            observer: &terminal,
            interrupt: support::interrupt_on_ctrl_c()?,
        };
        let Amount { trainings, models, replies, verdicts, done } = experiment.amount()?;
        println!(
            "{trainings} trainings, {models} models, at most {replies} replies and {verdicts} verdicts; {} of \
             {} measurements done",
            done.0, done.1
        );
        if !args.amount {
            experiment.run()?;
            println!("{}", results.join("TABLES.md").display());
        }
        Ok(())
    })
}
