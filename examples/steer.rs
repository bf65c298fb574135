//! Trains a control vector from a constitution, finds its strength, and compares the base model, the
//! system prompt and steering on held-out questions.
//!
//! Needs nothing prepared: the built-in model (98 MB) is fetched on first use. Takes a few minutes on two
//! cores; most of it is generating the continuations that the vector is found in.
//!
//! ```sh
//! cargo run --release --example steer -- --persona sarcasm --out sarcasm.gguf
//! ```
//!
//! Expect, for each of the three, replies to questions that the vector has not seen, how far they lie along
//! the direction (0 as the base model's, 1 as the prompted one's) and the perplexity on neutral text.

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod support;

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ingrain::chat::{Message, Sampling};
use ingrain::constitution::PromptSet;
use ingrain::lm::{LocalModel, Overlay, Prompt, Steering};
use ingrain::steering::{Contrast, ControlVector, Method, ProjectionMonitor, Tuned};
use ingrain::{Steered, SteeringRecipe};
use serde_json::json;

/// Steer a model by a control vector
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    persona: support::TrainedPersonaArgs,
    #[command(flatten)]
    model: support::ModelArgs,
    /// How the direction is found
    #[arg(long, value_enum, default_value_t = MethodArg::PcaCenter)]
    method: MethodArg,
    /// Questions of the constitution that continuations are made for
    #[arg(long, default_value_t = 24)]
    questions: usize,
    /// Tokens of a continuation
    #[arg(long, default_value_t = 40)]
    continuation_tokens: usize,
    /// Perplexity may become so many times that of the base model
    #[arg(long, default_value_t = 1.2)]
    max_perplexity_ratio: f64,
    /// Held-out questions to compare on
    #[arg(long, default_value_t = 4)]
    heldout: usize,
    /// Tokens of a reply
    #[arg(long, default_value_t = 80)]
    max_new_tokens: usize,
    /// Where to write the vector, in repeng's GGUF form
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed of the sampling
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum MethodArg {
    PcaCenter,
    MeanDifference,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let model = args.model.load(&support::Terminal::new())?;
        let persona = args.persona.find()?;
        let system =
            PromptSet::embedded().teacher_system(persona.constitution(), "the assistant")?;
        let lab = Lab { model: &model, system: &system, seed: args.seed };

        let questions: Vec<String> =
            persona.constitution().questions().map(str::to_owned).collect();
        let recipe = SteeringRecipe {
            questions: args.questions,
            continuation_tokens: args.continuation_tokens,
            method: match args.method {
                MethodArg::PcaCenter => Method::PcaCenter,
                MethodArg::MeanDifference => Method::MeanDifference,
            },
            max_perplexity_ratio: args.max_perplexity_ratio,
            seed: args.seed,
        };
        let Steered { vector, tuned } = recipe.find(&model, &system, &questions)?;
        if let Some(out) = &args.out {
            vector.save(out)?;
        }
        let mut heldout = support::heldout_questions()?;
        heldout.truncate(args.heldout);
        let comparison = lab.compare(&vector, &tuned, &heldout, args.max_new_tokens)?;
        if args.json {
            println!("{}", comparison.to_json(&vector, &tuned));
            return Ok(());
        }
        comparison.print(&vector, &tuned);
        if let Some(out) = &args.out {
            let (out, strength) = (out.display(), tuned.strength);
            println!(
                "\nTalk to it in the example `chat`: --model {} --vector {out} --steer {strength:.3}",
                args.model.base.source.model
            );
        }
        Ok(())
    })
}

struct Lab<'a> {
    model: &'a LocalModel,
    system: &'a str,
    seed: u64,
}

/// Replies of the three ways to the same questions, and what they measure.
struct Comparison {
    questions: Vec<String>,
    /// Name, replies, position along the direction, perplexity.
    ways: Vec<(&'static str, Vec<String>, f64, f64)>,
}

impl Lab<'_> {
    fn replies(
        &self,
        questions: &[String],
        prompted: bool,
        steering: Option<&Steering>,
        max_new_tokens: usize,
    ) -> anyhow::Result<Vec<String>> {
        let model = self.model.with_steering(steering.cloned());
        let prompt = |(index, question): (usize, &String)| {
            let system = prompted.then(|| Message::system(self.system));
            let messages: Vec<Message> =
                system.into_iter().chain([Message::user(question)]).collect();
            let seed = self.seed + index as u64;
            let sampling = Sampling { max_new_tokens, seed, ..Sampling::default() };
            let ids = self.model.prompt_ids(&messages)?;
            Ok(Prompt::new(ids, sampling))
        };
        let prompts: Vec<Prompt> =
            questions.iter().enumerate().map(prompt).collect::<anyhow::Result<_>>()?;
        let mut done = Vec::new();
        model.generate(&prompts, &mut |index, reply| done.push((index, reply)))?;
        done.sort_by_key(|(index, _)| *index);
        let text = |(_, reply)| Ok(self.model.text(&reply, &[])?);
        done.into_iter().map(text).collect()
    }

    fn compare(
        &self,
        vector: &ControlVector,
        tuned: &Tuned,
        questions: &[String],
        max_new_tokens: usize,
    ) -> anyhow::Result<Comparison> {
        let steering = vector.steering(&self.model.model, tuned.strength)?;
        let base = self.replies(questions, false, None, max_new_tokens)?;
        let prompted = self.replies(questions, true, None, max_new_tokens)?;
        let steered = self.replies(questions, false, Some(&steering), max_new_tokens)?;
        // Each reply where its own model has it: behind its own prompt, under its own steering.
        let read = |monitor: &ProjectionMonitor, replies: &[String], with, steering| {
            let mut texts: Vec<(Vec<u32>, Range<usize>)> = Vec::new();
            for (question, reply) in questions.iter().zip(replies) {
                texts.push(Contrast::new(self.model, self.system, question, reply)?.text(with));
            }
            let texts: Vec<(&[u32], Range<usize>)> =
                texts.iter().map(|(ids, range)| (ids.as_slice(), range.clone())).collect();
            let overlay = Overlay { adapter: self.model.adapter.as_ref(), steering };
            monitor.read(&self.model.model, &texts, overlay)
        };
        let monitor = ProjectionMonitor::new(vector.clone());
        let at_base = read(&monitor, &base, false, None)?;
        let at_prompted = read(&monitor, &prompted, true, None)?;
        let at_steered = read(&monitor, &steered, false, Some(&steering))?;
        let monitor = monitor.with_anchors(at_base.clone(), at_prompted.clone());
        let position = |at| monitor.position(at).unwrap_or(f64::NAN);
        Ok(Comparison {
            questions: questions.to_vec(),
            ways: vec![
                ("base", base, position(&at_base), tuned.base_perplexity),
                ("system prompt", prompted, position(&at_prompted), tuned.base_perplexity),
                ("steering", steered, position(&at_steered), tuned.perplexity),
            ],
        })
    }
}

impl Comparison {
    fn print(&self, vector: &ControlVector, tuned: &Tuned) {
        let blocks = vector.directions.keys();
        println!(
            "blocks {} to {}, strength {:.3} (perplexity {:.2}, base {:.2}, {} trials)\n",
            blocks.clone().next().unwrap_or(&0),
            blocks.last().unwrap_or(&0),
            tuned.strength,
            tuned.perplexity,
            tuned.base_perplexity,
            tuned.trials.len(),
        );
        for (index, question) in self.questions.iter().enumerate() {
            println!("> {question}");
            for (name, replies, _, _) in &self.ways {
                println!("  [{name}] {}", replies[index].trim());
            }
            println!();
        }
        println!("{:<16}{:>22}{:>14}", "", "along the direction", "perplexity");
        for (name, _, position, perplexity) in &self.ways {
            println!("{name:<16}{position:>22.2}{perplexity:>14.2}");
        }
    }

    fn to_json(&self, vector: &ControlVector, tuned: &Tuned) -> serde_json::Value {
        let way = |(name, replies, position, perplexity): &(&str, Vec<String>, f64, f64)| {
            json!({
                "name": name, "replies": replies, "position": position, "perplexity": perplexity,
            })
        };
        json!({
            "blocks": vector.directions.keys().collect::<Vec<_>>(),
            "strength": tuned,
            "questions": self.questions,
            "ways": self.ways.iter().map(way).collect::<Vec<_>>(),
        })
    }
}
