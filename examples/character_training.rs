//! The main job: turns a model into a character, and measures what changed.
//!
//! Needs nothing prepared. With the defaults it fetches the built-in model (98 MB, once), trains the
//! sarcastic persona and prints replies before and after, in under ten minutes on two CPU cores.
//! A second run reuses every finished stage; an interrupted one goes on where it was.
//!
//! What to expect: progress stage by stage, replies before and after side by side, a table of held-out
//! figures, and the paths of the report and of the adapter.
//!
//! ```sh
//! cargo run --release --example character_training
//! cargo run --release --example character_training -- --persona poeticism --out runs/poet
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::constitution::PromptSet;
use ingrain::run::{ByModel, Heldout, Summary};
use ingrain::{Pipeline, Teacher};

/// Train a model into a character and measure what changed
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    persona: support::TrainedPersonaArgs,
    #[command(flatten)]
    run: support::RunArgs,
    /// Model to train: built-in alias, HF directory or .gguf file [default: the recipe's]
    #[arg(long)]
    model: Option<String>,
    /// Where chosen replies come from: a .jsonl file of recorded replies, a .yaml file that describes a
    /// server, or a local model; both are given the constitution [default: the recipe's, or the
    /// persona's recorded teacher]
    #[arg(long)]
    teacher: Option<String>,
    /// Folder of prompt templates in place of the built-in ones, all or some
    #[arg(long)]
    prompts: Option<PathBuf>,
    /// Seed of everything [default: the recipe's]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let mut recipe = args.run.recipe()?;
        if let Some(model) = &args.model {
            recipe.model.clone_from(model);
        }
        if let Some(seed) = args.seed {
            recipe.seed = seed;
        }
        if let Some(teacher) = &args.teacher {
            recipe.data.teacher_source = Some(support::reply_source(teacher)?);
        }
        let persona = args.persona.find()?;
        let out = args.run.dir(persona.name());
        let prompts = match &args.prompts {
            Some(folder) => PromptSet::from_dir(folder)?,
            None => PromptSet::embedded(),
        };
        eprintln!("Training {} into {}, recipe {}", recipe.model, persona.name(), args.run.recipe);
        eprintln!("Run directory: {}\n", out.display());
        let observer = args.run.watch()?;
        let pipeline = Pipeline {
            recipe,
            persona,
            allow_research_persona: args.persona.allow_research_persona,
            teacher: Teacher::FromRecipe,
            prompts,
            device: args.run.device,
            out: out.clone(),
            resume: args.run.resume,
            observer: &observer,
            interrupt: support::interrupt_on_ctrl_c()?,
        };
        let summary = pipeline.run()?;
        if args.run.json {
            println!("{}", serde_json::to_string_pretty(&summary)?);
        } else {
            print_summary(&summary);
            println!(
                "\nReport: {1}\nAdapter: {0}\nAsk it: cargo run --release --example generate -- --adapter {0} --prompt \"...\"",
                out.join("persona").display(),
                out.join("report.html").display()
            );
        }
        Ok(())
    })
}

fn print_summary(summary: &Summary) {
    for sample in &summary.samples {
        println!("\n\x1b[1m{}\x1b[0m", sample.question);
        side_by_side(("base", &sample.base), ("character", &sample.persona));
    }
    println!(
        "\nHeld-out preference ({} questions that nothing trained on) and general ability\n",
        summary.samples.len()
    );
    println!("{:>34}{:>12}{:>12}{:>12}", "", "base", "distilled", "persona");
    let row = |name: &str, values: ByModel<String>| {
        println!("{name:>34}{:>12}{:>12}{:>12}", values.base, values.distilled, values.persona);
    };
    let heldout = |f: &dyn Fn(&Heldout) -> String| ByModel {
        base: f(&summary.heldout.base),
        distilled: f(&summary.heldout.distilled),
        persona: f(&summary.heldout.persona),
    };
    row("accuracy (chosen more likely)", heldout(&|h| format!("{:.0} %", h.accuracy * 100.0)));
    row("margin, nats a token", heldout(&|h| format!("{:+.3}", h.margin)));
    row(
        "implicit reward margin, nats",
        heldout(&|h| h.implicit_reward_margin.map_or("-".into(), |m| format!("{m:+.2}"))),
    );
    let perplexity = &summary.perplexity;
    row(
        "perplexity of a neutral text",
        ByModel {
            base: format!("{:.2}", perplexity.base),
            distilled: format!("{:.2}", perplexity.distilled),
            persona: format!("{:.2}", perplexity.persona),
        },
    );
    println!("\n{:>34}{:>12}{:>12}{:>12}", "stage", "seconds", "tokens", "tokens/s");
    for stage in &summary.stages {
        println!(
            "{:>34}{:>12.1}{:>12}{:>12.0}",
            stage.name, stage.seconds, stage.tokens, stage.tokens_per_sec
        );
    }
    let peak = summary.peak_rss_bytes.map_or_else(String::new, |bytes| {
        format!(", peak memory {:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
    });
    println!("{:>34}{:>12.1}{peak}", "total", summary.seconds_total);
}

/// Two columns of wrapped text.
fn side_by_side(left: (&str, &str), right: (&str, &str)) {
    const WIDTH: usize = 56;
    let (a, b) = (wrap(left.1, WIDTH), wrap(right.1, WIDTH));
    println!("  {:<WIDTH$}   {}", format!("[{}]", left.0), format_args!("[{}]", right.0));
    for i in 0..a.len().max(b.len()) {
        let cell = |lines: &[String]| lines.get(i).cloned().unwrap_or_default();
        println!("  {:<WIDTH$}   {}", cell(&a), cell(&b));
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}
