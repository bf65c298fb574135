//! What is watched while adapters train.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How far replies lie along a persona direction while adapters train: the metric `projection` of
/// `train.jsonl`. It changes nothing that is trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorRecipe {
    /// A control vector of the same model, as the example `steer` saves it. Default none: nothing is read.
    pub vector: Option<PathBuf>,
    /// Steps from one reading to the next, from 1; there is one after the last step in any case. Default 10.
    pub every_steps: u64,
    /// Questions whose student replies are read, from 1. Default 8.
    pub replies: usize,
}

impl Default for MonitorRecipe {
    fn default() -> Self {
        Self { vector: None, every_steps: 10, replies: 8 }
    }
}

impl MonitorRecipe {
    pub(super) fn validate(&self) -> Result<(), String> {
        for (name, value) in [("every_steps", self.every_steps), ("replies", self.replies as u64)] {
            if value == 0 {
                return Err(format!("monitor.{name} is 0; expected at least 1"));
            }
        }
        Ok(())
    }
}
