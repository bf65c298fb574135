//! What a stage depends on and what it writes, said before it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::{RunError, sha256_file, sha256_hex};

/// Declares one stage to the [`crate::Manifest`]: its inputs, the stages before it, its files.
///
/// Every input is hashed under a name of its own, so that the manifest can say *which* one changed.
/// The outputs of the stages in [`after`](Self::after) count as inputs without being named.
///
/// # Examples
/// ```
/// use ingrain_run::StagePlan;
///
/// let plan = StagePlan::new("student")
///     .text("model", "smollm2-135m-instruct")
///     .json("temperature", &0.7)?
///     .after(["prompts"])
///     .writes(["student.jsonl"]);
/// assert_eq!(plan.name(), "student");
/// # Ok::<(), ingrain_run::RunError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StagePlan {
    pub(crate) name: String,
    pub(crate) inputs: BTreeMap<String, String>,
    pub(crate) after: Vec<String>,
    pub(crate) files: Vec<String>,
}

impl StagePlan {
    /// A stage without inputs or files.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), inputs: BTreeMap::new(), after: Vec::new(), files: Vec::new() }
    }

    /// An input given as text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.inputs.insert(name.to_owned(), sha256_hex(value.as_bytes()));
        self
    }

    /// An input given as a value, hashed in its JSON form. Use types with a fixed field order.
    ///
    /// # Errors
    /// [`RunError::Unserializable`] if it has no JSON form.
    pub fn json(self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<Self, RunError> {
        let json = serde_json::to_string(value).map_err(|e| RunError::Unserializable {
            path: format!("{} of stage {}", name, self.name).into(),
            reason: e.to_string(),
        })?;
        Ok(self.text(name, &json))
    }

    /// An input given as a file outside the run, hashed by content.
    ///
    /// # Errors
    /// [`RunError::Io`] if it cannot be read.
    pub fn file(mut self, name: &str, path: impl AsRef<Path>) -> Result<Self, RunError> {
        self.inputs.insert(name.to_owned(), sha256_file(path)?);
        Ok(self)
    }

    /// Stages that must be done before, and whose outputs this one reads.
    #[must_use]
    pub fn after<S: Into<String>>(mut self, stages: impl IntoIterator<Item = S>) -> Self {
        self.after.extend(stages.into_iter().map(Into::into));
        self
    }

    /// Files and directories (relative to the run directory) that this stage writes, alone.
    #[must_use]
    pub fn writes<S: Into<String>>(mut self, files: impl IntoIterator<Item = S>) -> Self {
        self.files.extend(files.into_iter().map(Into::into));
        self
    }

    /// The stage's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One hash over all inputs.
pub(crate) fn hash_inputs(inputs: &BTreeMap<String, String>) -> String {
    // The length keeps a name that contains `=` or a newline from looking like two.
    let lines: Vec<_> =
        inputs.iter().map(|(name, hash)| format!("{}:{name}={hash}\n", name.len())).collect();
    sha256_hex(lines.concat().as_bytes())
}

/// Names of the inputs that differ.
pub(crate) fn changed(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changed: Vec<_> =
        names.into_iter().filter(|n| old.get(*n) != new.get(*n)).map(String::as_str).collect();
    changed.join(", ")
}
