//! Where the workspace lies, and how commands run in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The checkout that this binary was built from.
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace around this package.
    pub(crate) fn here() -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().map_or_else(|| package.clone(), PathBuf::from);
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        Self { target: root.join(target), root }
    }

    /// A cargo command: the cargo that runs us, in the workspace's root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(args);
        command
    }

    /// Any command in the workspace's root, without input.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }
}

/// Prints a command, runs it with its output shown, and fails where it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}`: {status}");
    Ok(())
}

/// The command as one would type it: the program's file name, and its arguments.
fn line(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_folder_with_the_crates() {
        assert!(Workspace::here().root.join("crates/ingrain/Cargo.toml").is_file());
    }

    #[test]
    fn a_command_is_shown_without_the_folder_of_its_program() {
        assert_eq!(
            line(Command::new("bin/typos").arg("--format").arg("brief")),
            "typos --format brief"
        );
    }

    #[test]
    fn a_command_that_fails_is_an_error_that_shows_it() {
        let error = run(&mut Workspace::here().cargo(&["no-such-command"])).unwrap_err();
        assert!(error.to_string().starts_with("`cargo no-such-command`: exit status"), "{error}");
    }

    #[test]
    fn a_program_that_is_missing_is_an_error_that_names_it() {
        let error = run(&mut Workspace::here().command("ingrain-missing")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `ingrain-missing`");
    }
}
