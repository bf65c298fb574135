//! The directory of one run, held by one process at a time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::atomic::sweep_temporaries;
use crate::{FileLock, RunError};

const LOCK_FILE: &str = ".lock";

/// An open run directory. While it lives, no other process can open the same one.
///
/// Held by a [`FileLock`].
///
/// # Examples
/// ```
/// use ingrain_run::{RunDir, RunError};
///
/// # let tmp = tempfile::tempdir().map_err(|e| RunError::io("tmp", "create", e))?;
/// let run = RunDir::open(tmp.path().join("runs/sarcasm"))?;
/// assert!(matches!(RunDir::open(run.path()), Err(RunError::Locked { .. })));
/// assert!(run.file("pairs.jsonl").ends_with("sarcasm/pairs.jsonl"));
/// # Ok::<(), RunError>(())
/// ```
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: FileLock,
}

impl RunDir {
    /// Creates the directory where needed, locks it, and removes temporary files that a killed
    /// process left.
    ///
    /// # Errors
    /// [`RunError::Locked`] if a living process has it; otherwise [`RunError::Io`] or
    /// [`RunError::DiskFull`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|e| RunError::io(&path, "create", e))?;
        let lock = FileLock::take(&path.join(LOCK_FILE), &path)?;
        sweep_temporaries(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or directory inside.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_has_it() {
        let tmp = tempfile::tempdir().unwrap();
        let first = RunDir::open(tmp.path()).unwrap();
        let error = RunDir::open(tmp.path()).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&format!("in use by process {}", std::process::id())),
            "{message}"
        );
        drop(first);
        RunDir::open(tmp.path()).unwrap();
    }

    #[test]
    fn a_lock_file_of_a_process_that_is_gone_holds_nothing() {
        let tmp = tempfile::tempdir().unwrap();
        fs::write(tmp.path().join(LOCK_FILE), "4194399\n").unwrap();
        let run = RunDir::open(tmp.path()).unwrap();
        let text = fs::read_to_string(run.file(LOCK_FILE)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn temporary_files_of_a_killed_process_are_gone_after_opening() {
        let tmp = tempfile::tempdir().unwrap();
        let left = tmp.path().join(".summary.json.ingrain-tmp-1-0");
        fs::write(&left, "half").unwrap();
        let _run = RunDir::open(tmp.path()).unwrap();
        assert!(!left.exists());
    }
}
