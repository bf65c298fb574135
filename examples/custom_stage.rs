//! A stage of one's own in a run directory: resumable, reused when nothing changed, told in the manifest.
//!
//! The stage has a model ask each question of a constitution again in other words, for prompts that were
//! not written by hand. It is two things: a `StagePlan`, which says what the stage depends on and what it
//! writes, and the work. Records go to an append-only file by key, so that a kill costs at most the reply
//! that was under way.
//!
//! Needs nothing prepared (fetches the built-in model, 98 MB, once); a question takes seconds on two
//! cores. Run it twice: the second time it is reused. Change `--seed` and it is done again; the old
//! file goes to `stale/`.
//!
//! ```sh
//! cargo run --release --example custom_stage
//! cargo run --release --example custom_stage -- --persona loving --questions 4 --out runs/rephrased
//! ```
//!
//! What to expect: questions and their rephrased forms, in `rephrased.jsonl` too.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingrain::chat::{ChatModel, ChatRequest, Message};
use ingrain::data::Prompt;
use ingrain::run::{
    Event, JsonlStore, Keyed, Manifest, Observer, RunDir, StagePlan, derive_seed, read_jsonl,
};
use serde::{Deserialize, Serialize};

/// Have a model rephrase the questions of a constitution
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    #[command(flatten)]
    persona: support::PersonaArgs,
    /// Questions to rephrase
    #[arg(long, default_value_t = 10)]
    questions: usize,
    #[command(flatten)]
    sampling: support::SamplingArgs,
    /// Run directory
    #[arg(long, default_value = "runs/custom-stage")]
    out: PathBuf,
}

/// A line of `rephrased.jsonl`.
#[derive(Serialize, Deserialize)]
struct Rephrased {
    id: String,
    question: String,
    rephrased: String,
}

impl Keyed for Rephrased {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let terminal = support::Terminal::new();
        let model = args.model.load(&terminal)?;
        let prompts = Prompt::of_constitution(args.persona.find()?.constitution());
        let prompts = &prompts[..args.questions.min(prompts.len())];
        let interrupt = support::interrupt_on_ctrl_c()?;

        let run = RunDir::open(&args.out)?;
        let mut manifest = Manifest::open(run.path())?;
        // Everything that the result depends on: another value of any of these, and it is done again.
        let plan = StagePlan::new("rephrase")
            .json("model", &model.identity)?
            .json("prompts", prompts)?
            .json("sampling", &args.sampling.sampling())?
            .writes(["rephrased.jsonl"]);
        manifest.run_stage(&plan, &terminal, |stage| -> anyhow::Result<()> {
            let total = Some(prompts.len() as u64);
            let (name, unit) = ("rephrase".to_owned(), "questions".to_owned());
            stage.on_event(&Event::StageStarted { stage: name.clone(), total, unit });
            let started = std::time::Instant::now();
            let mut store = JsonlStore::<Rephrased>::open(stage.file("rephrased.jsonl"))?;
            for (index, prompt) in prompts.iter().enumerate() {
                if store.contains(&prompt.id) {
                    continue;
                }
                anyhow::ensure!(!interrupt.is_requested(), "interrupted; run it again to go on");
                let reply = model.complete_one(&request(&args, prompt, index))?;
                stage.add_tokens((reply.prompt_tokens + reply.completion_tokens) as u64);
                let (id, question) = (prompt.id.clone(), prompt.text.clone());
                let rephrased = reply.text.lines().next().unwrap_or_default().trim().to_owned();
                store.append(&Rephrased { id, question, rephrased })?;
                let done = store.len() as u64;
                stage.on_event(&Event::Progress { stage: name.clone(), done, tokens: 0 });
            }
            store.sync()?;
            let (done, seconds) = (store.len() as u64, started.elapsed().as_secs_f64());
            stage.count("rephrased.jsonl", done);
            let finished =
                Event::StageFinished { stage: name, done, tokens: 0, seconds, reused: false };
            stage.on_event(&finished);
            Ok(())
        })?;
        let lines: Vec<Rephrased> = read_jsonl(run.file("rephrased.jsonl"))?;
        for line in &lines {
            println!("> {}\n  {}", line.question, line.rephrased);
        }
        let record = manifest.stage("rephrase").context("the stage has just run")?;
        println!("\n{:.1} s, {} tokens: {}", record.seconds, record.tokens, run.path().display());
        Ok(())
    })
}

/// The seed belongs to the request, so that a resumed stage gives what an undisturbed one would.
fn request(args: &Args, prompt: &Prompt, index: usize) -> ChatRequest {
    let mut sampling = args.sampling.sampling();
    sampling.seed = derive_seed(sampling.seed, "rephrase", index as u64);
    let task = format!(
        "Ask the same thing in other words, in one line and without answering it:\n\n{}",
        prompt.text
    );
    ChatRequest::new(vec![Message::user(task)], sampling)
}
