//! Sends a folder to a hub: an adapter as a model, pairs or transcripts as a dataset.
//!
//! Needs a folder with a card (`persona/` of a run has one; `generate_data` writes one beside its data) and,
//! unless `--dry-run`, `HF_TOKEN` in the environment; `HF_ENDPOINT` names another hub. Takes as long as the
//! network does. New repositories are private until you say `--public`. Of a dataset goes what its card
//! names.
//!
//! ```sh
//! cargo run --release --example push -- runs/sarcasm/persona my-name/sarcasm-135m --dry-run
//! cargo run --release --example push -- runs/data-sarcasm my-name/sarcasm-pairs --dataset
//! ```
//!
//! What to expect: the files with their sizes, then the address of the commit.

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::lm::{HubId, RepoKind, Upload};

/// Send a folder to a hub
#[derive(Parser)]
struct Args {
    /// Folder to send; hidden files, checkpoints/ and stale/ stay behind
    folder: PathBuf,
    /// Where to: org/name, org/name@branch, org/name:folder
    to: HubId,
    /// It is a dataset, not a model
    #[arg(long)]
    dataset: bool,
    /// If the repository has to be made, make it public
    #[arg(long)]
    public: bool,
    /// First line of the commit
    #[arg(long)]
    message: Option<String>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let card = args.folder.join("README.md");
        anyhow::ensure!(
            card.is_file(),
            "{} is missing; a repository without a card says nothing of what it holds",
            card.display()
        );
        let kind = if args.dataset { RepoKind::Dataset } else { RepoKind::Model };
        let mut upload = Upload::new(&args.folder, args.to.clone(), kind)?;
        if args.dataset {
            let named = data_files(&std::fs::read_to_string(&card)?);
            upload.retain(|path| {
                named.is_empty()
                    || path.ends_with("README.md")
                    || named.iter().any(|name| path.ends_with(name))
            });
        }
        upload.private = !args.public;
        if let Some(message) = args.message {
            upload.message = message;
        }
        let commit = match args.dry_run {
            true => None,
            false => Some(upload.send(&support::Terminal::new())?),
        };
        if args.json {
            println!("{}", serde_json::json!({"files": upload.files(), "commit": commit}));
            return Ok(());
        }
        for file in upload.files() {
            println!("{:>12}  {}", file.bytes, file.path);
        }
        match commit {
            Some(address) => println!("{address}"),
            None => println!("nothing was sent to {} (--dry-run)", args.to),
        }
        Ok(())
    })
}

/// The files that the header of a dataset's card names; without any, all of them belong to it.
fn data_files(card: &str) -> Vec<String> {
    let header = card.split("\n---").next().unwrap_or_default();
    let named = header.lines().filter_map(|line| line.trim().strip_prefix("data_files:"));
    named.map(|name| name.trim().trim_matches('"').to_owned()).collect()
}
