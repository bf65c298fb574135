//! A lock that one process holds at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::RunError;

/// A lock file, held as long as this value lives.
///
/// The operating system holds the lock and lets go of it when the process ends, however it ends;
/// the lock file that stays behind only says who had it last. Where the file system cannot lock, the
/// process number in the file decides: a process that is gone holds nothing.
///
/// # Examples
/// ```
/// use ingrain_run::{FileLock, RunError};
///
/// # let dir = tempfile::tempdir().map_err(|e| RunError::io("tmp", "create", e))?;
/// let (file, lock) = (dir.path().join("cache.jsonl"), dir.path().join("cache.jsonl.lock"));
/// let held = FileLock::take(&lock, &file)?;
/// assert!(matches!(FileLock::take(&lock, &file), Err(RunError::Locked { .. })));
/// drop(held);
/// assert!(FileLock::take(&lock, &file).is_ok());
/// # Ok::<(), RunError>(())
/// ```
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock `lock_file`, which guards `guarded`.
    ///
    /// # Errors
    /// [`RunError::Locked`] naming `guarded` if a living process has it; otherwise
    /// [`RunError::Io`] or [`RunError::DiskFull`].
    pub fn take(lock_file: &Path, guarded: &Path) -> Result<Self, RunError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock_file)
            .map_err(|e| RunError::io(lock_file, "open", e))?;
        let mut text = String::new();
        // An unreadable number is no number; the lock itself decides.
        let _ = file.read_to_string(&mut text);
        let holder: Option<u32> = text.trim().parse().ok();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Locked { path: guarded.to_path_buf(), pid: holder });
            }
            Err(TryLockError::Error(source)) => {
                tracing::debug!(path = %lock_file.display(), %source, "no file locks here");
                if let Some(pid) = holder.filter(|&pid| is_alive(pid)) {
                    return Err(RunError::Locked { path: guarded.to_path_buf(), pid: Some(pid) });
                }
            }
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(pid.as_bytes()))
            .map_err(|e| RunError::io(lock_file, "write", e))?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Without a number in it, the file also says "free" where the system cannot lock.
        let _ = self.0.set_len(0);
    }
}

/// Whether a process with this number runs, as far as `/proc` tells. Where there is no `/proc` it
/// counts as alive: better to ask the user than to let two processes write.
fn is_alive(pid: u32) -> bool {
    let proc = Path::new("/proc");
    !proc.join("self").exists() || proc.join(pid.to_string()).exists()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_an_impossible_one_is_not() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
    }
}
