//! Measures an adapter on questions that nothing trained on: held-out preference, perplexity, replies.
//!
//! Needs an adapter (a directory or a hub id) and a persona with recorded held-out pairs, as all that ship
//! have. Takes a minute or two with the built-in model on two cores; nothing is trained.
//!
//! ```sh
//! cargo run --release --example evaluate -- --adapter runs/sarcasm/persona
//! cargo run --release --example evaluate -- --adapter runs/sarcasm/persona --persona loving   # what drifted
//! cargo run --release --example evaluate -- --adapter runs/sarcasm/persona --strength 0.5 --json
//! cargo run --release --example evaluate -- --adapter runs/sarcasm/persona --classifier runs/classifier
//! ```
//!
//! What to expect: a table of the base model and of the adapter, the change with its 95 % interval over
//! questions (an interval that holds 0 is no evidence of a change), and a few replies side by side. Judges,
//! robustness and capabilities have commands of their own (docs/README.md).

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingrain::chat::{ChatModel, ChatRequest, Message};
use ingrain::data::PreferencePair;
use ingrain::eval::{
    GradedText, Grader, NEUTRAL_TEXT, PairScore, accuracy, margin, perplexity, score_pairs,
};
use ingrain::lm::LocalModel;
use ingrain::stats::Bootstrap;
use serde_json::json;

/// Measure an adapter against its base
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    #[command(flatten)]
    persona: support::PersonaArgs,
    /// At most so many held-out questions
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    questions: usize,
    /// Questions whose replies are shown
    #[arg(long, default_value_t = 3)]
    replies: usize,
    /// Directory of a classifier (`classify train`) that says how probable it is that replies are the persona's
    #[arg(long)]
    classifier: Option<PathBuf>,
    #[command(flatten)]
    sampling: support::SamplingArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One model on all questions.
struct Measured {
    scores: Vec<PairScore>,
    perplexity: f64,
    replies: Vec<String>,
    /// Mean probability that a reply is the persona's, where a classifier knows it.
    recognised: Option<f64>,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        anyhow::ensure!(args.model.adapter.is_some(), "nothing to measure; pass --adapter");
        let persona = args.persona.find()?;
        let mut pairs = persona.heldout_pairs()?;
        pairs.truncate(args.questions);
        let model = args.model.load(&support::Terminal::new())?;
        let mut base = measure(&model.with_adapter(None), &pairs, &args)?;
        let mut adapted = measure(&model, &pairs, &args)?;
        if let Some(dir) = &args.classifier {
            let terminal = support::Terminal::new();
            let (_, grader) =
                support::classifier(dir, &args.model.base.source.device.name, &terminal)?;
            for measured in [&mut base, &mut adapted] {
                measured.recognised = Some(recognised(&grader, persona.name(), &pairs, measured)?);
            }
        }

        let change = |draw: &[usize]| {
            let of = |i: &usize| adapted.scores[*i].margin() - base.scores[*i].margin();
            draw.iter().map(of).sum::<f64>() / draw.len() as f64
        };
        let change = Bootstrap::default().percentile(pairs.len(), change)?;
        if args.json {
            let of = |m: &Measured| {
                json!({
                    "accuracy": accuracy(&m.scores), "margin": margin(&m.scores),
                    "perplexity": m.perplexity, "replies": m.replies,
                    "recognised": m.recognised,
                })
            };
            let (base, adapted) = (of(&base), of(&adapted));
            let all = json!({
                "persona": persona.name(), "questions": pairs.len(), "base": base,
                "adapter": adapted, "margin_change": change,
            });
            println!("{all}");
            return Ok(());
        }
        println!("{} held-out questions about {}\n", pairs.len(), persona.name());
        println!("{:<34}{:>12}{:>12}", "", "base", "adapter");
        let row = |name: &str, of: &dyn Fn(&Measured) -> f64| {
            println!("{name:<34}{:>12.3}{:>12.3}", of(&base), of(&adapted));
        };
        row("accuracy (chosen more likely)", &|m| accuracy(&m.scores));
        row("margin, nats a token", &|m| margin(&m.scores));
        row("perplexity of a neutral text", &|m| m.perplexity);
        if args.classifier.is_some() {
            row("probability of the persona, replies", &|m| m.recognised.unwrap_or(f64::NAN));
        }
        println!("\nmargin {:+.3} ({:+.3} to {:+.3})", change.estimate, change.low, change.high);
        for (index, (a, b)) in base.replies.iter().zip(&adapted.replies).enumerate() {
            println!("\n> {}\n  [base] {a}\n  [adapter] {b}", pairs[index].question());
        }
        Ok(())
    })
}

fn measure(model: &LocalModel, pairs: &[PreferencePair], args: &Args) -> anyhow::Result<Measured> {
    let ask = |(index, pair): (usize, &PreferencePair)| {
        let mut sampling = args.sampling.sampling();
        sampling.seed += index as u64;
        ChatRequest::new(vec![Message::user(pair.question())], sampling)
    };
    let requests: Vec<ChatRequest> = pairs.iter().take(args.replies).enumerate().map(ask).collect();
    let replies = model.complete_all(&requests).into_iter();
    Ok(Measured {
        scores: score_pairs(model, pairs)?,
        perplexity: perplexity(model, NEUTRAL_TEXT)?,
        replies: replies
            .map(|reply| Ok(reply?.text.trim().to_owned()))
            .collect::<anyhow::Result<_>>()?,
        recognised: None,
    })
}

/// How probable it is on average that the replies are the persona's.
fn recognised(
    grader: &dyn Grader,
    persona: &str,
    pairs: &[PreferencePair],
    measured: &Measured,
) -> anyhow::Result<f64> {
    let labels = grader.labels();
    let class = labels.iter().position(|label| label == persona);
    let class = class.with_context(|| {
        format!("the classifier has no label {persona}; it knows {}", labels.join(", "))
    })?;
    let texts: Vec<GradedText<'_>> = pairs
        .iter()
        .zip(&measured.replies)
        .map(|(pair, reply)| GradedText { message: pair.question(), reply })
        .collect();
    anyhow::ensure!(!texts.is_empty(), "--classifier needs replies; pass --replies 1 or more");
    let mut sum = 0.0;
    for row in grader.grade(&texts) {
        sum += row?[class];
    }
    Ok(sum / texts.len() as f64)
}
