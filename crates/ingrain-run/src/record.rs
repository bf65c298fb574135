//! What the manifest holds of one stage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageState {
    /// Not begun, or to be looked at again because a stage before it was redone.
    Pending,
    /// Begun and not finished: running now, or killed.
    Running,
    /// Finished.
    Done,
}

/// A file that a stage wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path relative to the run directory, with `/`.
    pub path: String,
    /// Content hash.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Records in it, where the stage counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What the manifest holds of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Stage name.
    pub name: String,
    /// How far it is.
    pub state: StageState,
    /// Hash over all inputs.
    pub input_hash: String,
    /// Hash of each input, by name.
    pub inputs: BTreeMap<String, String>,
    /// Stages whose outputs it reads.
    pub after: Vec<String>,
    /// Files and directories that it writes, relative to the run directory.
    pub files: Vec<String>,
    /// What it wrote, file by file; empty until the stage has finished once.
    pub outputs: Vec<OutputFile>,
    /// Wall-clock seconds, added up over interruptions.
    pub seconds: f64,
    /// Tokens processed, added up over interruptions.
    pub tokens: u64,
    /// Versions of what produced it, by name.
    pub versions: BTreeMap<String, String>,
}

impl StageRecord {
    /// A stage of which nothing is known yet.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: StageState::Pending,
            input_hash: String::new(),
            inputs: BTreeMap::new(),
            after: Vec::new(),
            files: Vec::new(),
            outputs: Vec::new(),
            seconds: 0.0,
            tokens: 0,
            versions: BTreeMap::new(),
        }
    }
}
