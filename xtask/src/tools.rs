//! Checkers that are not crates of the workspace: installed once from `tools.txt`, as wheels that
//! hold the binary, because compiling them would take longer than all checks together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run};

/// Names, versions and hashes, from the workspace's root.
const LIST: &str = "xtask/tools.txt";

/// The binary of that name: the pinned version, or the one on the path where no wheel fits.
pub(crate) fn find(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.target.join("tools");
    match install(workspace, &folder) {
        Ok(()) => Ok(folder.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))),
        Err(error) if starts(name) => {
            println!("{error:#}; taking `{name}` from the path, whatever its version");
            Ok(name.into())
        }
        Err(error) => Err(error.context(format!(
            "no `{name}`: python3 with pip installs it from {LIST}, or put it on the path"
        ))),
    }
}

/// Installs what `tools.txt` lists, unless that has been done; a copy of the list marks it.
fn install(workspace: &Workspace, folder: &Path) -> Result<()> {
    let wanted = fs::read_to_string(workspace.root.join(LIST)).context(LIST)?;
    let mark = folder.join("tools.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let python = if cfg!(windows) { "python" } else { "python3" };
    let mut command = workspace.command(python);
    command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]);
    command.args(["--require-hashes", "--requirement", LIST, "--target"]).arg(folder);
    command.env("PIP_ROOT_USER_ACTION", "ignore").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    run(&mut command)?;
    fs::write(&mark, wanted).with_context(|| mark.display().to_string())
}

fn starts(name: &str) -> bool {
    let mut command = Command::new(name);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
