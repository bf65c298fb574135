//! The directory of one run, held by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::RunError;
use crate::atomic::sweep_temporaries;

const LOCK_FILE: &str = ".lock";

/// An open run directory. While it lives, no other process can open the same one.
///
/// The operating system holds the lock and lets go of it when the process ends, however it ends;
/// the lock file that stays behind only says who had it last. Where the file system cannot lock, the
/// process number in the file decides: a process that is gone holds nothing.
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
    lock: File,
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
        let lock = lock(&path)?;
        sweep_temporaries(&path)?;
        Ok(Self { path, lock })
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

impl Drop for RunDir {
    fn drop(&mut self) {
        // Without a number in it, the file also says "free" where the system cannot lock.
        let _ = self.lock.set_len(0);
    }
}

fn lock(dir: &Path) -> Result<File, RunError> {
    let path = dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| RunError::io(&path, "open", e))?;
    let mut text = String::new();
    // An unreadable number is no number; the lock itself decides.
    let _ = file.read_to_string(&mut text);
    let holder: Option<u32> = text.trim().parse().ok();
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(RunError::Locked { path: dir.to_path_buf(), pid: holder });
        }
        Err(TryLockError::Error(source)) => {
            tracing::debug!(path = %path.display(), %source, "no file locks here");
            if let Some(pid) = holder.filter(|&pid| is_alive(pid)) {
                return Err(RunError::Locked { path: dir.to_path_buf(), pid: Some(pid) });
            }
        }
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(pid.as_bytes()))
        .map_err(|e| RunError::io(&path, "write", e))?;
    Ok(file)
}

/// Whether a process with this number runs, as far as `/proc` tells. Where there is no `/proc` it
/// counts as alive: better to ask the user than to let two processes write.
fn is_alive(pid: u32) -> bool {
    let proc = Path::new("/proc");
    !proc.join("self").exists() || proc.join(pid.to_string()).exists()
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

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_alive_and_an_impossible_one_is_not() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
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
