//! Judges pairs of replies, in both orders, and says how far the judge can be believed.
//!
//! Needs a run directory: its replies before and after training are judged by the persona's constitution,
//! or by a rubric of your own (CONTRIBUTING.md). The judge is a local model by the log-probability of each
//! answer, or with a `.yaml` file a server that answers in words (docs/models.md). A question takes
//! seconds with the built-in model, which is too small a judge to be believed: the numbers say so.
//!
//! ```sh
//! cargo run --release --example judge -- runs/sarcasm --questions 5
//! cargo run --release --example judge -- runs/sarcasm --judge my-server.yaml --rubric warmth.yaml
//! cargo run --release --example judge -- runs/sarcasm --labels runs/sarcasm/eval/labels.jsonl
//! ```
//!
//! What to expect: the win rate of the persona, then position consistency (1 is a judge that does not care
//! for the order), what was dropped, and with labels whether the judge may be called reliable. The pairs lie
//! in `eval/coherence/cases.jsonl`, where `annotate` finds them, prompts and answers beside them; nothing is
//! asked twice.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use ingrain::constitution::{Constitution, PromptSet};
use ingrain::judge::{
    Case, ChoiceJudge, Judge, Reliability, ReliabilityConfig, Rubric, RubricFile, Session, Task,
    TextJudge, read_labels,
};
use ingrain::run::{JsonlStore, Sample, read_jsonl, write_jsonl};

/// Judge replies and the judge
#[derive(Parser)]
struct Args {
    /// Run directory
    run: PathBuf,
    /// Who judges: a .yaml file that describes a server, or a local model
    #[arg(long, default_value = ingrain::lm::BUILTIN_MODEL)]
    judge: String,
    #[command(flatten)]
    device: support::DeviceArgs,
    /// A rubric that compares two replies [default: coherence with the run's constitution]
    #[arg(long)]
    rubric: Option<PathBuf>,
    /// Verdicts of people: .csv or .jsonl with case, rater and verdict
    #[arg(long)]
    labels: Option<PathBuf>,
    /// At most so many questions
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    questions: usize,
    /// How often each question is asked again, to see whether the judge agrees with itself
    #[arg(long, default_value_t = 0)]
    repeats: usize,
    /// Print the reliability report as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = support::Terminal::new();
        let rubric = match &args.rubric {
            Some(file) => Rubric::from(RubricFile::from_path(file)?),
            None => {
                let constitution = Constitution::from_path(args.run.join("constitution.yaml"))?;
                Rubric::coherence(PromptSet::embedded(), constitution)
            }
        };
        let name = format!("{}/{}", args.judge, rubric.name());
        let judge: Box<dyn Judge> = if support::is_server(&args.judge) {
            Box::new(TextJudge::new(
                support::chat_model(&args.judge, &args.device.name, &observer)?,
                rubric,
            ))
        } else {
            Box::new(ChoiceJudge::new(
                support::load_model(&args.judge, &args.device.name, &observer)?,
                rubric,
            ))
        };
        let cases = cases(&args.run, args.questions)?;
        let dir = args.run.join("eval/coherence");
        let session = Session {
            name: &name,
            judge: judge.as_ref(),
            seed: 1,
            repeats: args.repeats,
            batch_size: 16,
            observer: &observer,
            interrupt: &support::interrupt_on_ctrl_c()?,
        };
        let mut store = JsonlStore::open(dir.join("rulings.jsonl"))?;
        let (rulings, _) = session.run(&cases, &mut store)?;
        let labels = args.labels.as_ref().map(read_labels).transpose()?.unwrap_or_default();
        let found = ReliabilityConfig::default().assess(&name, &cases, &rulings, &labels);
        match args.json {
            true => println!("{}", serde_json::to_string_pretty(&found)?),
            false => print(&found),
        }
        Ok(())
    })
}

/// The pairs of the coherence suite if it has run; else what the persona and the base model answered to the
/// held-out questions.
fn cases(run: &Path, most: usize) -> anyhow::Result<Vec<Case>> {
    let file = run.join("eval/coherence/cases.jsonl");
    if !file.is_file() {
        let samples: Vec<Sample> = read_jsonl(run.join("eval/samples.jsonl"))?;
        let case = |(index, sample): (usize, Sample)| Case {
            key: format!("base/{index}"),
            message: sample.question,
            task: Task::Compare { first: sample.persona, second: sample.base },
        };
        let cases: Vec<Case> = samples.into_iter().enumerate().map(case).collect();
        std::fs::create_dir_all(run.join("eval/coherence"))?;
        write_jsonl(&file, &cases)?;
    }
    Ok(read_jsonl(&file)?.into_iter().take(most).collect())
}

fn print(found: &Reliability) {
    println!("{} cases, {} rulings by {}", found.cases, found.rulings, found.judge);
    let row = |name: &str, value: String| println!("{name:>28}  {value}");
    if let Some(rate) = &found.first_win_rate {
        row("win rate of the persona", rate.to_string());
    }
    row("ties", found.tie_rate.to_string());
    row("dropped", found.drop_rate.to_string());
    row("unreadable", found.unreadable_rate.to_string());
    if let Some(position) = &found.position {
        row("same in both orders", position.consistency.to_string());
        row("for what is shown first", position.shown_first.to_string());
    }
    if let Some(again) = &found.self_agreement {
        row("agrees with itself", again.to_string());
    }
    if let Some(labels) = &found.labels {
        row("alpha against labels", labels.alpha_ordinal.to_string());
        row("Spearman against labels", labels.spearman.to_string());
    }
    row("standing", format!("{:?}", found.standing));
}
