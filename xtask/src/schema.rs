//! The JSON Schema of constitutions, as a file that editors can point at.
//!
//! Generating it needs the constitution crate, which the other commands should not wait for; it is
//! behind the feature `schema`, and a binary without it starts one that has it.

use anyhow::Result;

use crate::workspace::Workspace;

/// Where the schema lies, from the workspace's root.
#[cfg(feature = "schema")]
const PATH: &str = "docs/constitution.schema.json";

/// Writes the schema.
#[cfg(feature = "schema")]
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    std::fs::write(workspace.root.join(PATH), text()?)?;
    println!("wrote {PATH}");
    Ok(())
}

/// Fails where the file is not what the types say.
#[cfg(feature = "schema")]
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let found = std::fs::read_to_string(workspace.root.join(PATH)).unwrap_or_default();
    anyhow::ensure!(found == text()?, "{PATH} is out of date; write it with `cargo xtask schema`");
    println!("{PATH} is up to date");
    Ok(())
}

#[cfg(feature = "schema")]
fn text() -> Result<String> {
    Ok(serde_json::to_string_pretty(&ingrain_constitution::json_schema())? + "\n")
}

/// Writes the schema, in a binary that can.
#[cfg(not(feature = "schema"))]
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    with_feature(workspace, &[])
}

/// Fails where the file is not what the types say; checked by a binary that can.
#[cfg(not(feature = "schema"))]
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    with_feature(workspace, &["--check"])
}

#[cfg(not(feature = "schema"))]
fn with_feature(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let command = ["run", "--quiet", "--package", "xtask", "--features", "schema", "--", "schema"];
    crate::workspace::run(workspace.cargo(&command).args(args))
}
