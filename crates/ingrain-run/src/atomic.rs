//! Files that appear complete or not at all.
//!
//! The new contents go into a temporary file beside the old one, reach the disk, and replace it by
//! a rename, which file systems do in one step.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::RunError;

/// Middle part of every temporary file's name; [`sweep_temporaries`] looks for it.
const TEMPORARY_MARK: &str = ".ingrain-tmp-";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Replaces `path` by a file with these contents, in one step.
///
/// # Errors
/// [`RunError::DiskFull`] or [`RunError::Io`]; the old file is then still there, and no temporary
/// file stays behind.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("recipe.yaml");
/// ingrain_run::write_atomic(&path, b"seed: 1\n")?;
/// assert_eq!(std::fs::read(&path)?, b"seed: 1\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomic(path: impl AsRef<Path>, contents: &[u8]) -> Result<(), RunError> {
    write_atomic_with(path, |file| file.write_all(contents))
}

/// Like [`write_atomic`], for contents that are too large to hold in memory.
///
/// # Errors
/// As [`write_atomic`], and whatever `write` returns.
pub fn write_atomic_with(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), RunError> {
    let path = path.as_ref();
    let temporary = temporary_beside(path);
    let attempt = write_and_sync(&temporary, write).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = attempt {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
        return Err(RunError::io(path, "write", source));
    }
    sync_dir(path);
    Ok(())
}

/// Writes `value` as indented JSON, in one step.
///
/// # Errors
/// [`RunError::Unserializable`], or as [`write_atomic`].
pub fn write_json_atomic<T: Serialize + ?Sized>(
    path: impl AsRef<Path>,
    value: &T,
) -> Result<(), RunError> {
    let path = path.as_ref();
    let mut json = serde_json::to_vec_pretty(value).map_err(|e| RunError::Unserializable {
        path: path.to_path_buf(),
        reason: e.to_string(),
    })?;
    json.push(b'\n');
    write_atomic(path, &json)
}

/// Removes temporary files that a killed process left anywhere below `dir`.
///
/// Only safe while no other process writes there (see [`crate::RunDir`]).
pub(crate) fn sweep_temporaries(dir: &Path) -> Result<(), RunError> {
    let entries = fs::read_dir(dir).map_err(|e| RunError::io(dir, "list", e))?;
    for entry in entries {
        let entry = entry.map_err(|e| RunError::io(dir, "list", e))?;
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir {
            sweep_temporaries(&path)?;
        } else if entry.file_name().to_string_lossy().contains(TEMPORARY_MARK) {
            fs::remove_file(&path).map_err(|e| RunError::io(&path, "remove", e))?;
        }
    }
    Ok(())
}

fn temporary_beside(path: &Path) -> PathBuf {
    let serial = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!("{TEMPORARY_MARK}{}-{serial}", std::process::id()));
    path.with_file_name(name)
}

fn write_and_sync(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Makes the rename itself durable. Not every file system lets a directory be opened or synced, and
/// the rename has already happened: failure here is no error.
fn sync_dir(path: &Path) {
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    if let Ok(dir) = File::open(parent) {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_atomic(&path, b"old").unwrap();
        let error = write_atomic_with(&path, |file| {
            file.write_all(b"half of the new contents")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(matches!(error, RunError::DiskFull { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_really_full_device_is_named_with_the_way_out() {
        // /dev/full answers every write with ENOSPC.
        let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let source = full.write_all(b"x").unwrap_err();
        let error = RunError::io("runs/sarcasm/teacher.jsonl", "write", source);
        let message = error.to_string();
        assert_eq!(message.lines().count(), 1);
        assert!(message.starts_with("runs/sarcasm/teacher.jsonl: no space left"), "{message}");
        assert!(message.contains("free some or choose another directory"), "{message}");
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_target() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nowhere/a.json");
        let error = write_atomic(&path, b"x").unwrap_err();
        assert_eq!(error.to_string(), format!("{}: cannot write", path.display()));
    }

    #[test]
    fn sweeping_removes_what_a_killed_write_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("persona");
        fs::create_dir(&sub).unwrap();
        write_atomic(sub.join("adapter_config.json"), b"{}").unwrap();
        fs::write(temporary_beside(&sub.join("adapter_model.safetensors")), b"half").unwrap();
        sweep_temporaries(dir.path()).unwrap();
        assert_eq!(names(&sub), ["adapter_config.json"]);
    }
}
