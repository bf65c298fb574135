//! What is known about batches, on disk.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ingrain_run::{RunError, sha256_hex, write_atomic_with, write_json_atomic};
use serde::{Deserialize, Serialize};

use super::wire::{RequestLine, ResultLine, to_json};
use crate::ChatError;

/// The folder that holds them.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// One batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BatchState {
    /// Number and hash: also the name by which the provider knows the batch.
    pub(super) name: String,
    /// Custom ids of its requests.
    pub(super) ids: HashSet<String>,
    pub(super) progress: Progress,
}

/// How far a batch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Progress {
    /// Its input is on disk here.
    Written,
    /// The provider has its input; a batch may or may not have been made of it.
    Uploaded { input_file: String },
    /// The provider works on it.
    Submitted { batch: String },
    /// Its results are on disk here.
    Ended,
}

impl BatchState {
    pub(super) fn has_any(&self, wanted: &HashMap<String, usize>) -> bool {
        self.ids.iter().any(|id| wanted.contains_key(id))
    }
}

impl Folder {
    pub(super) fn create(path: PathBuf) -> Result<Self, RunError> {
        fs::create_dir_all(&path).map_err(|e| RunError::io(&path, "create", e))?;
        Ok(Self(path))
    }

    /// All batches, oldest first.
    pub(super) fn states(&self) -> Result<Vec<BatchState>, RunError> {
        let list = fs::read_dir(&self.0).map_err(|e| RunError::io(&self.0, "read", e))?;
        let mut paths: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
        paths.sort();
        paths.iter().map(|path| read_state(path)).collect()
    }

    /// Writes the input of a new batch down.
    pub(super) fn begin(&self, lines: Vec<&RequestLine>) -> Result<BatchState, ChatError> {
        let ids: Vec<&str> = lines.iter().map(|line| line.custom_id.as_str()).collect();
        let hash = &sha256_hex(ids.join("\n").as_bytes())[..16];
        let name = format!("{:05}-{hash}", self.states()?.len());
        let json = lines.iter().map(to_json).collect::<Result<Vec<_>, _>>()?;
        write_atomic_with(self.input(&name), |out| {
            json.iter().try_for_each(|line| out.write_all(line).and_then(|()| out.write_all(b"\n")))
        })?;
        let ids = ids.into_iter().map(str::to_owned).collect();
        let state = BatchState { name, ids, progress: Progress::Written };
        self.save(&state)?;
        Ok(state)
    }

    pub(super) fn save(&self, state: &BatchState) -> Result<(), RunError> {
        write_json_atomic(self.0.join(format!("{}.json", state.name)), state)
    }

    pub(super) fn input(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.input.jsonl"))
    }

    pub(super) fn results(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.results.jsonl"))
    }

    /// Every line that can be read; others are as if they were not there.
    pub(super) fn read_results(
        &self,
        state: &BatchState,
        mut take: impl FnMut(ResultLine),
    ) -> Result<(), ChatError> {
        let path = self.results(&state.name);
        let file = File::open(&path).map_err(|e| RunError::io(&path, "read", e))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|e| RunError::io(&path, "read", e))?;
            match serde_json::from_slice(&line) {
                Ok(line) => take(line),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a result of a batch is unreadable");
                }
            }
        }
        Ok(())
    }
}

fn read_state(path: &Path) -> Result<BatchState, RunError> {
    let bytes = fs::read(path).map_err(|e| RunError::io(path, "read", e))?;
    serde_json::from_slice(&bytes).map_err(|e| RunError::Malformed {
        path: path.to_path_buf(),
        what: "batch state",
        reason: e.to_string(),
    })
}
