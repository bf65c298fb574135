//! The checks of this repository, in one command: `cargo xtask ci`.
//!
//! It knows how the checks are run, not what they look for: that stands in the workspace's lints,
//! `rustfmt.toml`, `deny.toml` and `typos.toml`, and in this package's own tests (`tests/it`), which
//! `cargo test --workspace` runs with all others.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod ci;
mod schema;
mod steps;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use workspace::Workspace;

const HELP: &str = "\
cargo xtask ci [STEP...]       run every check, or the steps named
cargo xtask schema [--check]   write docs/constitution.schema.json, or compare it";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    let workspace = Workspace::here();
    match args {
        ["ci", steps @ ..] => ci::run(&workspace, steps),
        ["schema"] => schema::write(&workspace),
        ["schema", "--check"] => schema::check(&workspace),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}\n\nSteps of ci:\n{}", ci::describe());
            Ok(())
        }
        other => bail!("unknown arguments `{}`\n{HELP}", other.join(" ")),
    }
}
