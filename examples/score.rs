//! Log-probabilities of a given completion, token by token, in nats.
//!
//! Needs nothing prepared: the built-in model (98 MB) is fetched on first use. Takes seconds. Expect a
//! line a token, likely ones near 0, and the total.
//!
//! ```sh
//! cargo run --release --example score -- --prompt "What is 2 + 2?" --completion "It is 4."
//! ```

#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod support;

use std::process::ExitCode;

use clap::Parser;
use ingrain::chat::Message;
use ingrain::lm::TokenSequence;
use serde_json::json;

/// Score a completion with a model
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    model: support::ModelArgs,
    /// What the user says; with --raw, the text before the completion
    #[arg(long)]
    prompt: String,
    /// The assistant turn to score; with --raw, the text that follows the prompt
    #[arg(long)]
    completion: String,
    /// Leave the chat template out
    #[arg(long)]
    raw: bool,
    /// Print one JSON object: prompt_token_ids, completion_token_ids, logprobs, total_logprob
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let model = args.model.load(&support::Terminal::new())?;
        let sequence = if args.raw {
            let prompt = model.tokenizer.encode(&args.prompt, true)?;
            anyhow::ensure!(!prompt.is_empty(), "--prompt is empty; give at least one token");
            let completion = model.tokenizer.encode(&args.completion, false)?;
            TokenSequence::from_parts(&prompt, &completion)
        } else {
            let messages = [Message::user(&args.prompt), Message::assistant(&args.completion)];
            model.completion_sequence(&messages)?
        };
        let logprobs = model.score(std::slice::from_ref(&sequence))?.remove(0);
        let (mut prompt, mut completion) = (Vec::new(), Vec::new());
        for (&id, &is_completion) in sequence.ids.iter().zip(&sequence.completion) {
            if is_completion { completion.push(id) } else { prompt.push(id) }
        }
        let total: f64 = logprobs.iter().map(|&l| f64::from(l)).sum();
        if args.json {
            let object = json!({
                "prompt_token_ids": prompt, "completion_token_ids": completion,
                "logprobs": logprobs, "total_logprob": total,
            });
            println!("{object}");
            return Ok(());
        }
        for (&id, logprob) in completion.iter().zip(&logprobs) {
            println!("{logprob:>10.4}  {:?}", model.tokenizer.decode(&[id], false)?);
        }
        println!("{total:>10.4}  total, {} tokens", completion.len());
        Ok(())
    })
}
