//! Which persona wrote this? Teaches a classifier, says what it is worth, and asks it.
//!
//! `train` needs replies of two personas or more: run directories, `personas/*.teacher.jsonl`, or JSONL
//! with a `text`, a `label`, a `prompt` and a `method` a line. With a head alone (`--tune head`) it takes minutes
//! for a thousand replies, most of them to read the replies once; `--tune full` trains the encoder too, once for each
//! split, and shows loss and time left at every step. Expect a table: the classifier beside what has to
//! be beaten, on prompts that were not learnt from and on each method that was not; then a line a label, and
//! what the table does not show. It writes the classifier and `study.json` to `--out`; `report` shows the
//! study of a run that `--run` names. The built-in encoder is fetched on first use (91 MB). Interrupted, the
//! same command goes on.
//!
//! ```sh
//! cargo run --release --example classify -- train runs/sarcasm runs/loving --out runs/classifier
//! cargo run --release --example classify -- train personas/*.teacher.jsonl --out runs/classifier
//! cargo run --release --example classify -- train personas/*.teacher.jsonl --tune full --epochs 4 --out runs/full
//! cargo run --release --example classify -- predict runs/classifier "Oh good, percentages."
//! ```

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, ValueEnum};
use ingrain::classifier::{
    ClassifierConfig, Contender, Dataset, EncodedTexts, EncoderLearner, EncoderSource,
    LengthBaseline, NgramBaseline, NgramConfig, PersonaClassifier, ShuffledLabels, Study,
    StudyConfig, TextEncoder, Tuning,
};
use ingrain::run::{Cell, Table, write_json_atomic};

/// Teach a persona classifier, or ask one
#[derive(Parser)]
enum Command {
    /// Teach a classifier and say what it is worth
    Train(Train),
    /// Ask a classifier about replies
    Predict {
        /// Directory of the classifier
        classifier: PathBuf,
        /// Replies; without any, one a line of the standard input
        replies: Vec<String>,
        #[command(flatten)]
        device: support::DeviceArgs,
        /// Print a line of JSON a reply
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Train {
    /// Run directories, <persona>.teacher.jsonl files, or JSONL of examples
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Directory for the classifier and its study
    #[arg(long)]
    out: PathBuf,
    /// Run directory whose report is to show the study
    #[arg(long)]
    run: Option<PathBuf>,
    /// Built-in alias, directory or hub id of a BERT or ModernBERT encoder
    #[arg(long, default_value = ingrain::classifier::BUILTIN_ENCODER)]
    encoder: EncoderSource,
    /// What learns
    #[arg(long, visible_alias = "tuning", value_enum, default_value = "head")]
    tune: Tune,
    /// Passes over the replies [default: 20 of a head, 4 of an encoder]
    #[arg(long)]
    epochs: Option<u64>,
    /// Largest learning rate of AdamW [default: 0.02 of a head, 0.0003 of an encoder with its head]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Label that nothing learns; its replies should be found strange
    #[arg(long)]
    hold_out: Option<String>,
    /// Seed of the split
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: support::DeviceArgs,
    /// Print the study as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tune {
    Head,
    Blocks,
    Full,
}

fn main() -> ExitCode {
    support::run(|| match Command::parse() {
        Command::Train(args) => train(&args),
        Command::Predict { classifier, replies, device, json } => {
            predict(&classifier, replies, &device.name, json)
        }
    })
}

fn train(args: &Train) -> anyhow::Result<()> {
    let (observer, interrupt) = (support::Terminal::new(), support::interrupt_on_ctrl_c()?);
    let mut examples = Vec::new();
    for source in &args.sources {
        examples.extend(ingrain::labelled_replies(source)?);
    }
    let dataset = Dataset::new(examples, args.hold_out.as_deref())?;
    let device = ingrain::lm::device(&args.device.name)?;
    let encoder = TextEncoder::load(&args.encoder, &device, &observer)?;
    let mut config = ClassifierConfig::for_tuning(match args.tune {
        Tune::Head => Tuning::Head,
        Tune::Blocks => Tuning::Blocks,
        Tune::Full => Tuning::Full,
    });
    config.train.epochs = args.epochs.unwrap_or(config.train.epochs);
    config.train.learning_rate = args.learning_rate.unwrap_or(config.train.learning_rate);
    let mut settings = StudyConfig::default();
    settings.split.seed = args.seed;

    let texts = EncodedTexts::new(&encoder, &dataset, &config)?;
    let work = args.out.join("checkpoints");
    let learner =
        EncoderLearner { texts: &texts, dir: &work, observer: &observer, interrupt: &interrupt };
    let shuffled = ShuffledLabels { learner, seed: args.seed };
    let ngrams = NgramBaseline::new(&dataset, NgramConfig::default())?;
    let length = LengthBaseline { dataset: &dataset, regression: Default::default() };
    let study = Study::new(&dataset, settings)?;
    let report = study.run(&[
        Contender { name: "encoder", learner: &learner, by_method: true },
        Contender { name: "hashed n-grams", learner: &ngrams, by_method: true },
        Contender { name: "length alone", learner: &length, by_method: false },
        Contender { name: "shuffled labels", learner: &shuffled, by_method: false },
    ])?;

    let classifier = study.with_task("encoder", |task| learner.classifier(task))?;
    let temperature = report.rows[0].evaluation.temperature;
    classifier.with_temperature(temperature).save(&args.out)?;
    write_json_atomic(args.out.join("study.json"), &report)?;
    if let Some(run) = &args.run {
        std::fs::create_dir_all(run.join("eval"))?;
        write_json_atomic(run.join("eval/classifier.json"), &report.suite_report())?;
    }
    std::fs::remove_dir_all(&work)?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    let suite = report.suite_report();
    println!("{}\n", suite.protocol);
    suite.tables.iter().for_each(print_table);
    suite.limitations.iter().for_each(|limit| println!("- {limit}"));
    Ok(())
}

fn predict(dir: &Path, replies: Vec<String>, device: &str, json: bool) -> anyhow::Result<()> {
    let device = ingrain::lm::device(device)?;
    let classifier = PersonaClassifier::load(dir, &device, &support::Terminal::new())?;
    let replies = match replies.is_empty() {
        true => std::io::stdin().lines().collect::<Result<_, _>>()?,
        false => replies,
    };
    let texts: Vec<&str> = replies.iter().map(String::as_str).collect();
    for (prediction, reply) in classifier.predict(&texts)?.into_iter().zip(&replies) {
        if json {
            println!("{}", serde_json::to_string(&prediction)?);
        } else {
            println!("{:.2}  {:<14} {reply}", prediction.probability, prediction.label);
        }
    }
    Ok(())
}

/// A table in columns of even width.
fn print_table(table: &Table) {
    let text = |cell: &Cell| match cell {
        Cell::Number(n) if n.fract() == 0.0 => format!("{n}"),
        Cell::Number(n) => format!("{n:.3}"),
        Cell::Text(text) => text.clone(),
        Cell::Empty => String::new(),
    };
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(text).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.chain([&table.columns[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    println!("{}", table.title);
    for row in std::iter::once(&table.columns).chain(&rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    println!();
}
