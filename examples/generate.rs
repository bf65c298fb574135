//! Continues a prompt with a model, and with an adapter if one is given.
//!
//! Needs nothing prepared: the built-in model (98 MB) is fetched on first use. Takes seconds. Expect
//! the reply, or with `--json` its tokens and their log-probabilities too.
//!
//! ```sh
//! cargo run --release --example generate -- --prompt "Why is the sky blue?" --greedy
//! cargo run --release --example generate -- --adapter runs/sarcasm/persona --prompt "Is tea good?"
//! ```

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod support;

use std::process::ExitCode;

use clap::Parser;
use ingrain::chat::{FinishReason, Message, Sampling};
use ingrain::lm::{Generation, Prompt};
use ingrain::run::{Event, Observer};
use serde_json::json;

/// Generate text with a model
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    /// What the user says; with --raw, the text to continue
    #[arg(long)]
    prompt: String,
    /// System message
    #[arg(long, conflicts_with = "raw")]
    system: Option<String>,
    /// Leave the chat template out
    #[arg(long)]
    raw: bool,
    /// Always the most likely token, no repetition penalty
    #[arg(long)]
    greedy: bool,
    #[command(flatten)]
    sampling: support::SamplingArgs,
    /// Print one JSON object: text, prompt_token_ids, token_ids, logprobs, finish (stop or length)
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let terminal = support::Terminal::new();
        let model = args.model.load(&terminal)?;
        let ids = if args.raw {
            model.tokenizer.encode(&args.prompt, true)?
        } else {
            let system = args.system.as_ref().map(Message::system);
            let messages: Vec<Message> =
                system.into_iter().chain([Message::user(&args.prompt)]).collect();
            model.prompt_ids(&messages)?
        };
        anyhow::ensure!(!ids.is_empty(), "--prompt is empty; give at least one token");
        let sampling = match args.greedy {
            true => Sampling::greedy(args.sampling.max_new_tokens),
            false => args.sampling.sampling(),
        };
        let prompt = Prompt::new(ids, sampling);
        let mut result: Option<Generation> = None;
        model.generate(std::slice::from_ref(&prompt), &mut |_, done| result = Some(done))?;
        let generation = result.ok_or_else(|| anyhow::anyhow!("nothing was generated"))?;
        let text = model.text(&generation, &[])?;
        if generation.finish == FinishReason::Length {
            let count = generation.token_ids.len();
            let limit = match count < prompt.sampling.max_new_tokens {
                true => "the end of the context",
                false => "--max-new-tokens",
            };
            let message = format!("cut off after {count} tokens by {limit}");
            terminal.on_event(&Event::Note { stage: "generate".into(), message });
        }
        if args.json {
            let object = json!({
                "text": text, "prompt_token_ids": prompt.ids,
                "token_ids": generation.token_ids, "logprobs": generation.logprobs,
                "finish": generation.finish,
            });
            println!("{object}");
        } else {
            println!("{text}");
        }
        Ok(())
    })
}
