//! What a cache of replies holds.
//!
//! ```sh
//! cargo run --release --example cache -- stats runs/cache.jsonl
//! cargo run --release --example cache -- show runs/cache.jsonl --text umbrella --limit 3
//! cargo run --release --example cache -- compact runs/cache.jsonl --keep-model glm
//! ```
//!
//! Needs a journal that `ingrain::chat::Cached` wrote; takes seconds. `stats` and `show` never change
//! the file; `compact` rewrites it in one step. Expect a table, JSON lines, or a count of what was dropped.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::chat::journal::{JournalQuery, JournalStats, compact, show};

/// Looks into a cache of replies
#[derive(Parser)]
enum Command {
    /// Counts replies and tokens by model
    Stats {
        /// The journal
        journal: PathBuf,
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Shows entries as JSON lines
    Show {
        /// The journal
        journal: PathBuf,
        /// Beginning of the key
        #[arg(long, default_value = "")]
        key: String,
        /// Part of the model's name
        #[arg(long, default_value = "")]
        model: String,
        /// Part of question or reply, in any case
        #[arg(long, default_value = "")]
        text: String,
        /// At most so many; 0 for all
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Drops repeated entries, and those of other models
    Compact {
        /// The journal
        journal: PathBuf,
        /// Keep only models whose name holds this
        #[arg(long, default_value = "")]
        keep_model: String,
    },
}

fn main() -> ExitCode {
    support::run(|| match Command::parse() {
        Command::Stats { journal, json } => {
            let stats = JournalStats::read(journal)?;
            match json {
                true => println!("{}", serde_json::to_string(&stats)?),
                false => println!("{stats}"),
            }
            Ok(())
        }
        Command::Show { journal, key, model, text, limit } => {
            for entry in show(journal, &JournalQuery { key, model, text, limit })? {
                println!("{}", serde_json::to_string(&entry)?);
            }
            Ok(())
        }
        Command::Compact { journal, keep_model } => {
            let report = compact(journal, |entry| entry.model.contains(&keep_model))?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(())
        }
    })
}
