//! What runs have shown, as a page that explains itself: tables, plots, replies, limitations.
//!
//! Needs run directories, which `character_training` makes; takes a second a run. A folder of runs
//! becomes a sortable list with a page for each; one run becomes `report.html` in its directory (expect its path);
//! several become one page side by side. Tables lie beside the page as CSV and LaTeX, figures as SVG, and with
//! the feature `png` as PNG at 400 dots an inch.
//!
//! ```sh
//! cargo run --release --example report -- runs/
//! cargo run --release --example report -- runs/sarcasm
//! cargo run --release --example report -- runs/sarcasm runs/loving --out comparison
//! cargo run --release --features png --example report -- runs/sarcasm
//! ```

#![expect(clippy::print_stdout, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ingrain::report::{Index, Report, RunRecord};

/// Write the report of a run, of several side by side, or of all runs of a folder
#[derive(Parser)]
struct Args {
    /// Run directories, or one folder of them
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder for the page and the files beside it [default: the run's own, or the first run's parent]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the paths that were written as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    support::run(|| {
        let Args { runs, out, json } = Args::parse();
        let (page, files) = match runs.as_slice() {
            [folder] if !RunRecord::is_run(folder) => {
                anyhow::ensure!(out.is_none(), "--out goes with runs; a list lies in its folder");
                (Index::open(folder)?.write()?, Vec::new())
            }
            dirs => {
                let beside = match dirs {
                    [run] => run.clone(),
                    several => several[0].parent().map_or_else(PathBuf::new, PathBuf::from),
                };
                let written = Report::open(dirs)?.write(out.unwrap_or(beside))?;
                (written.page, written.files)
            }
        };
        if json {
            println!("{}", serde_json::json!({"page": page, "files": files}));
        } else {
            println!("{}", page.display());
        }
        Ok(())
    })
}
