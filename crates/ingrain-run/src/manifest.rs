//! `manifest.json`: what each stage of a run was made from, what it wrote and what it cost.
//!
//! The manifest decides whether a stage is reused, resumed or redone. It does not know what a stage
//! does, and never looks inside its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::outputs::{hash_outputs, move_aside, unchanged};
use crate::plan::{changed, hash_inputs};
use crate::{
    Event, Observer, RunError, StagePlan, StageRecord, StageState, StageSummary, write_json_atomic,
};

const SCHEMA: u32 = 1;

/// What is to be done about a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Everything is there, made from the same inputs: do nothing.
    Reuse,
    /// Begun earlier with the same inputs: go on from the files that are there.
    Resume,
    /// Start from nothing; files of an outdated stage have been moved aside.
    Fresh,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    schema: u32,
    #[serde(default)]
    facts: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    versions: BTreeMap<String, String>,
    #[serde(default)]
    stages: Vec<StageRecord>,
}

/// The manifest of one run directory. Every change is on disk before the call returns.
#[derive(Debug)]
pub struct Manifest {
    dir: PathBuf,
    contents: Contents,
}

impl Manifest {
    /// Reads `manifest.json` of a run directory, or starts an empty one.
    ///
    /// # Errors
    /// [`RunError::Malformed`] if the file is not a manifest of this version, or [`RunError::Io`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, RunError> {
        let dir = dir.into();
        let path = dir.join("manifest.json");
        let contents = match fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Contents {
                schema: SCHEMA,
                facts: BTreeMap::new(),
                versions: BTreeMap::new(),
                stages: Vec::new(),
            },
            Err(e) => return Err(RunError::io(&path, "read", e)),
        };
        Ok(Self { dir, contents })
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All stages, in the order in which they first began.
    #[must_use]
    pub fn stages(&self) -> &[StageRecord] {
        &self.contents.stages
    }

    /// One stage, if it ever began.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageRecord> {
        self.contents.stages.iter().find(|s| s.name == name)
    }

    /// Cost of each stage so far, as [`crate::Summary`] wants it.
    #[must_use]
    pub fn summaries(&self) -> Vec<StageSummary> {
        let summary = |s: &StageRecord| StageSummary::new(&s.name, s.seconds, s.tokens);
        self.contents.stages.iter().map(summary).collect()
    }

    /// Records a fact about the whole run (base weights, seed, persona), not part of any hash.
    ///
    /// # Errors
    /// As [`crate::write_json_atomic`].
    pub fn set_fact(
        &mut self,
        name: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Result<(), RunError> {
        self.contents.facts.insert(name.into(), value.into());
        self.save()
    }

    /// Facts about the whole run.
    #[must_use]
    pub fn facts(&self) -> &BTreeMap<String, serde_json::Value> {
        &self.contents.facts
    }

    /// Records the version of something that takes part; stages begun from now on carry it.
    ///
    /// # Errors
    /// As [`crate::write_json_atomic`].
    pub fn set_version(
        &mut self,
        name: impl Into<String>,
        version: impl Into<String>,
    ) -> Result<(), RunError> {
        self.contents.versions.insert(name.into(), version.into());
        self.save()
    }

    /// Versions of what takes part.
    #[must_use]
    pub fn versions(&self) -> &BTreeMap<String, String> {
        &self.contents.versions
    }

    /// Begins a stage: says whether it is reused, resumed or redone, and prepares that.
    ///
    /// A stage that is redone has its old files moved to `stale/<stage>/`, a [`Event::Note`] says
    /// why, and every stage that stands on it (directly or not) becomes pending. A pending stage
    /// is still reused if its inputs come out the same again.
    ///
    /// # Errors
    /// [`RunError::StageOrder`] if a stage in `after` is not done; otherwise I/O.
    pub fn begin(&mut self, plan: &StagePlan, observer: &dyn Observer) -> Result<Begin, RunError> {
        let inputs = self.resolve_inputs(plan)?;
        let input_hash = hash_inputs(&inputs);
        let (begin, why) = self.decide(plan, &inputs, &input_hash)?;
        if begin == Begin::Fresh {
            let moved = move_aside(&self.dir, &plan.name, &plan.files)?;
            if let Some(message) = note_text(why, moved) {
                note(observer, &plan.name, message);
            }
            self.replace(StageRecord {
                state: StageState::Running,
                input_hash,
                inputs,
                after: plan.after.clone(),
                files: plan.files.clone(),
                versions: self.contents.versions.clone(),
                ..StageRecord::new(&plan.name)
            });
            self.demote_downstream(&plan.name);
        } else if let Some(record) = self.stage_mut(&plan.name) {
            record.state = if begin == Begin::Reuse { StageState::Done } else { record.state };
        }
        self.save()?;
        Ok(begin)
    }

    /// Adds seconds and tokens to a stage that is running.
    ///
    /// # Errors
    /// As [`crate::write_json_atomic`].
    pub fn add(&mut self, stage: &str, seconds: f64, tokens: u64) -> Result<(), RunError> {
        if let Some(record) = self.stage_mut(stage) {
            record.seconds += seconds;
            record.tokens += tokens;
        }
        self.save()
    }

    /// Marks a stage done, with the hashes of what it wrote; `counts` are records by file.
    ///
    /// # Errors
    /// [`RunError::MissingOutput`] if a planned file is not there; otherwise I/O.
    pub fn finish(
        &mut self,
        plan: &StagePlan,
        counts: &BTreeMap<String, u64>,
    ) -> Result<StageRecord, RunError> {
        let outputs = hash_outputs(&self.dir, &plan.name, &plan.files, counts)?;
        let Some(record) = self.stage_mut(&plan.name) else {
            return Err(RunError::StageOrder {
                stage: plan.name.clone(),
                needs: format!("{} begun", plan.name),
            });
        };
        record.state = StageState::Done;
        record.outputs = outputs;
        let record = record.clone();
        self.save()?;
        Ok(record)
    }

    /// Forgets all stages and moves their files aside, so that everything is done again.
    ///
    /// # Errors
    /// I/O only.
    pub fn forget_all(&mut self) -> Result<(), RunError> {
        for stage in std::mem::take(&mut self.contents.stages) {
            move_aside(&self.dir, &stage.name, &stage.files)?;
        }
        self.save()
    }

    fn resolve_inputs(&self, plan: &StagePlan) -> Result<BTreeMap<String, String>, RunError> {
        let mut inputs = plan.inputs.clone();
        for before in &plan.after {
            let record = self.stage(before).filter(|s| s.state == StageState::Done);
            let Some(record) = record else {
                return Err(RunError::StageOrder {
                    stage: plan.name.clone(),
                    needs: before.clone(),
                });
            };
            for output in &record.outputs {
                inputs.insert(format!("{before}: {}", output.path), output.sha256.clone());
            }
        }
        Ok(inputs)
    }

    /// What to do, and why if something is redone.
    fn decide(
        &self,
        plan: &StagePlan,
        inputs: &BTreeMap<String, String>,
        input_hash: &str,
    ) -> Result<(Begin, Option<String>), RunError> {
        let Some(record) = self.stage(&plan.name) else {
            return Ok((Begin::Fresh, None));
        };
        if record.input_hash != input_hash {
            let names = changed(&record.inputs, inputs);
            return Ok((Begin::Fresh, Some(format!("changed since the last run: {names}"))));
        }
        match record.state {
            StageState::Running => Ok((Begin::Resume, None)),
            StageState::Pending | StageState::Done => {
                match unchanged(&self.dir, &record.outputs)? {
                    None => Ok((Begin::Reuse, None)),
                    Some(path) => {
                        Ok((Begin::Fresh, Some(format!("{path} is missing or was changed"))))
                    }
                }
            }
        }
    }

    fn demote_downstream(&mut self, name: &str) {
        let mut redone = BTreeSet::from([name.to_owned()]);
        // Each pass finds the next generation; there are at most as many as stages.
        for _ in 0..self.contents.stages.len() {
            for stage in &mut self.contents.stages {
                if stage.after.iter().any(|a| redone.contains(a)) {
                    redone.insert(stage.name.clone());
                    if stage.state == StageState::Done {
                        stage.state = StageState::Pending;
                    }
                }
            }
        }
    }

    fn stage_mut(&mut self, name: &str) -> Option<&mut StageRecord> {
        self.contents.stages.iter_mut().find(|s| s.name == name)
    }

    fn replace(&mut self, record: StageRecord) {
        match self.stage_mut(&record.name) {
            Some(old) => *old = record,
            None => self.contents.stages.push(record),
        }
    }

    fn save(&self) -> Result<(), RunError> {
        write_json_atomic(self.dir.join("manifest.json"), &self.contents)
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Contents, RunError> {
    let malformed =
        |reason: String| RunError::Malformed { path: path.to_path_buf(), what: "manifest", reason };
    let contents: Contents = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
    if contents.schema != SCHEMA {
        return Err(malformed(format!("schema {}, expected {SCHEMA}", contents.schema)));
    }
    Ok(contents)
}

fn note_text(why: Option<String>, moved: Option<String>) -> Option<String> {
    match (why, moved) {
        (Some(why), Some(to)) => Some(format!("redone: {why}; its old files are now in {to}")),
        (Some(why), None) => Some(format!("redone: {why}")),
        (None, Some(to)) => {
            Some(format!("found files that no earlier run recorded; they are now in {to}"))
        }
        (None, None) => None,
    }
}

fn note(observer: &dyn Observer, stage: &str, message: String) {
    observer.on_event(&Event::Note { stage: stage.to_owned(), message });
}
