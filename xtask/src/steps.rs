//! The list of checks, cheap ones first.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::ci::Step;
use crate::workspace::{Workspace, run};
use crate::{schema, tools};

/// Every check, in the order in which they run.
pub(crate) const STEPS: &[Step] = &[
    step("fmt", "every file as rustfmt.toml has it", fmt),
    step("typos", "spelling (typos.toml)", typos),
    step("deny", "bans, licences and sources of all dependencies (deny.toml)", deny),
    Step {
        name: "advisories",
        what: "no dependency with a known vulnerability",
        only_when_named: Some("downloads the RustSec database: `cargo xtask ci advisories`"),
        run: advisories,
    },
    step("schema", "docs/constitution.schema.json is what the types say", schema::check),
    step("lean", "a build without `cuda` compiles nothing of it", lean),
    step("clippy", "no warning in any target", clippy),
    step("doc", "no warning, no broken link in the documentation", doc),
    step(
        "features",
        "the optional back ends compile, CUDA too (needs no GPU), and without HTTP",
        features,
    ),
    step(
        "formats",
        "Parquet and PNG files, which are behind features, are what they should be",
        formats,
    ),
    Step {
        name: "cube",
        what: "the GPU kernels compute what they should, on wgpu",
        only_when_named: Some("needs a GPU or Mesa's software GL: `cargo xtask ci cube`"),
        run: cube,
    },
];

const fn step(name: &'static str, what: &'static str, run: fn(&Workspace) -> Result<()>) -> Step {
    Step { name, what, only_when_named: None, run }
}

/// Packages with our code that are no members of the workspace.
const OUTSIDE: [&str; 2] = ["fuzz/Cargo.toml", "vendor/cubecl-llvm-stub/Cargo.toml"];

fn fmt(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["fmt", "--check"]))?;
    OUTSIDE.iter().try_for_each(|manifest| {
        run(&mut workspace.cargo(&["fmt", "--check", "--manifest-path", manifest]))
    })
}

fn typos(workspace: &Workspace) -> Result<()> {
    run(workspace.command(tools::find(workspace, "typos")?).args(["--format", "brief"]))
}

fn deny(workspace: &Workspace) -> Result<()> {
    cargo_deny(workspace, &["bans", "licenses", "sources"])
}

fn advisories(workspace: &Workspace) -> Result<()> {
    cargo_deny(workspace, &["advisories"])
}

fn cargo_deny(workspace: &Workspace, checks: &[&str]) -> Result<()> {
    let mut command = workspace.command(tools::find(workspace, "cargo-deny")?);
    run(command.args(["--locked", "--log-level", "warn", "check"]).args(checks))
}

/// Burn's CUDA stack is some hundred crates; a feature that leaks it into every build would triple
/// the time to the first result. (A few small `cubecl-*` crates are part of every Burn build.)
fn lean(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["tree", "--package", "ingrain", "--edges", "normal,build"]);
    let output = command.args(["--prefix", "none", "--format", "{p}"]).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout)?;
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let cuda = ["cubecl-core", "cubecl-cuda", "cubecl-llvm"];
    let found: Vec<&str> = cuda.into_iter().filter(|name| crates.contains(name)).collect();
    ensure!(found.is_empty(), "the default build compiles {}", found.join(", "));
    println!("{} crates, none of CUDA", crates.len());
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<()> {
    // `xtask/schema` brings in the code behind the constitution's own feature `schema`.
    let args = ["clippy", "--workspace", "--all-targets", "--features", "xtask/schema"];
    run(workspace.cargo(&args).args(["--", "-D", "warnings"]))
}

fn doc(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
    run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// One build for all: what speaks HTTP and what computes know nothing of each other.
fn features(workspace: &Workspace) -> Result<()> {
    let args =
        ["clippy", "--package", "ingrain", "--no-default-features", "--lib", "--bench", "cuda"];
    run(workspace.cargo(&args).args(["--features", "cuda,fusion,ndarray", "--", "-D", "warnings"]))
}

fn formats(workspace: &Workspace) -> Result<()> {
    let args = ["test", "--package", "ingrain-data", "--package", "ingrain-report"];
    run(workspace.cargo(&args).args(["--features", "ingrain-data/parquet,ingrain-report/png"]))
}

fn cube(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["test", "--package", "ingrain-cube", "--features", "wgpu"]))
}
