//! The files of a stage: hashed when it ends, checked when it is reused, moved aside when outdated.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::{OutputFile, RunError, sha256_file};

/// Where files of outdated stages go, one generation a stage.
const STALE_DIR: &str = "stale";

/// Hashes every file of a stage; directories are walked.
pub(crate) fn hash_outputs(
    dir: &Path,
    stage: &str,
    files: &[String],
    counts: &BTreeMap<String, u64>,
) -> Result<Vec<OutputFile>, RunError> {
    let mut outputs = Vec::new();
    for name in files {
        let path = dir.join(name);
        if !path.exists() {
            return Err(RunError::MissingOutput { stage: stage.to_owned(), path });
        }
        hash_into(dir, name, counts, &mut outputs)?;
    }
    outputs.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(outputs)
}

fn hash_into(
    dir: &Path,
    name: &str,
    counts: &BTreeMap<String, u64>,
    outputs: &mut Vec<OutputFile>,
) -> Result<(), RunError> {
    let path = dir.join(name);
    if path.is_dir() {
        for entry in fs::read_dir(&path).map_err(|e| RunError::io(&path, "list", e))? {
            let entry = entry.map_err(|e| RunError::io(&path, "list", e))?;
            let child = format!("{name}/{}", entry.file_name().to_string_lossy());
            hash_into(dir, &child, counts, outputs)?;
        }
        return Ok(());
    }
    let bytes = fs::metadata(&path).map_err(|e| RunError::io(&path, "read", e))?.len();
    outputs.push(OutputFile {
        path: name.to_owned(),
        sha256: sha256_file(&path)?,
        bytes,
        count: counts.get(name).copied(),
    });
    Ok(())
}

/// The first recorded file that is missing or different; `None` if all are as they were.
pub(crate) fn unchanged(dir: &Path, outputs: &[OutputFile]) -> Result<Option<String>, RunError> {
    for output in outputs {
        let path = dir.join(&output.path);
        let same_size = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == output.bytes);
        if !same_size || sha256_file(&path)? != output.sha256 {
            return Ok(Some(output.path.clone()));
        }
    }
    Ok(None)
}

/// Moves what is there of `files` to `stale/<stage>/`, in place of what an earlier move left there.
/// Returns where to, if anything was moved.
pub(crate) fn move_aside(
    dir: &Path,
    stage: &str,
    files: &[String],
) -> Result<Option<String>, RunError> {
    let present: Vec<_> = files.iter().filter(|name| dir.join(name).exists()).collect();
    if present.is_empty() {
        return Ok(None);
    }
    let relative = format!("{STALE_DIR}/{stage}");
    let target = dir.join(&relative);
    if target.exists() {
        fs::remove_dir_all(&target).map_err(|e| RunError::io(&target, "remove", e))?;
    }
    for name in present {
        let to = target.join(name);
        let parent = to.parent().unwrap_or(&target);
        fs::create_dir_all(parent).map_err(|e| RunError::io(parent, "create", e))?;
        let from = dir.join(name);
        fs::rename(&from, &to).map_err(|e| RunError::io(&from, "move aside", e))?;
    }
    Ok(Some(relative))
}
