//! The state of a training run on disk.
//!
//! One directory a checkpoint: `step-00000012/` with `adapter.safetensors`,
//! `optimizer.safetensors` and `state.json`. It is written beside under a name that is never
//! read, and renamed once all of it is on the disk, so that a kill at any moment leaves the one
//! before. The newest checkpoint and the one before it are kept; if the newest turns out to be
//! damaged, the run continues from the other and says so. Where examples are held out, the checkpoint
//! with the lowest loss on them is kept as well, as `best-00000008/`.
//!
//! The order of the data and the learning rate are functions of the step, so the step number, the
//! parameters, the optimiser's moments and the [`Course`] are the whole state.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use ingrain_run::write_json_atomic;
use serde::{Deserialize, Serialize};

use crate::adamw::Moments;
use crate::tensor_file::{self, FileDigest};
use crate::{AdamW, AdamWConfig, Course, Parameters, TrainError};

const KEPT: usize = 2;
/// Prefixes of the directories' names.
const LAST: &str = "step-";
const BEST: &str = "best-";
const PARAMETERS: &str = "adapter.safetensors";
const MOMENTS: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
/// Suffixes of a parameter's name in the optimiser file.
const FIRST: &str = ".exp_avg";
const SECOND: &str = ".exp_avg_sq";

/// Which run a checkpoint belongs to. A checkpoint is continued only under equal identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Seed of the run.
    pub seed: u64,
    /// Hash of the sizes of the examples and the batching settings.
    pub plan: String,
    /// Hash of every setting that changes the result, and of the objective.
    pub config: String,
}

impl RunIdentity {
    /// What differs from `other`, in words; `None` if nothing does.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.seed != other.seed {
            Some("another seed")
        } else if self.plan != other.plan {
            Some("other data or batch settings")
        } else if self.config != other.config {
            Some("other training settings, losses or data")
        } else {
            None
        }
    }
}

/// A point in a training run.
#[derive(Clone, Debug)]
pub struct Checkpoint<P> {
    /// Steps done.
    pub step: u64,
    /// Tokens seen so far.
    pub tokens: u64,
    /// The parameters after that step.
    pub parameters: P,
    /// The optimiser after that step.
    pub optimizer: AdamW,
    /// What the run remembers beside them.
    pub course: Course,
}

/// Contents of `state.json`.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    step: u64,
    tokens: u64,
    course: Course,
    identity: RunIdentity,
    files: BTreeMap<String, FileDigest>,
}

/// The checkpoints of one run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    identity: RunIdentity,
}

impl Checkpoints {
    /// Opens (or creates) the directory and removes what a killed process left half-written.
    ///
    /// # Errors
    /// [`TrainError::Run`] if the directory cannot be created or read.
    pub fn open(dir: impl Into<PathBuf>, identity: RunIdentity) -> Result<Self, TrainError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(TrainError::io(&dir, "create"))?;
        for entry in fs::read_dir(&dir).map_err(TrainError::io(&dir, "list"))? {
            let path = entry.map_err(TrainError::io(&dir, "list"))?.path();
            if path.extension().is_some_and(|extension| extension == "part") {
                fs::remove_dir_all(&path).map_err(TrainError::io(&path, "remove"))?;
            }
        }
        Ok(Self { dir, identity })
    }

    /// Where the checkpoints are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a checkpoint, then removes all but the newest two.
    ///
    /// # Errors
    /// [`TrainError::Run`] on a full disk and the like; the checkpoints before it stay whole.
    pub fn save<P: Parameters>(&self, checkpoint: &Checkpoint<P>) -> Result<(), TrainError> {
        self.put(LAST, checkpoint)?;
        self.remove_all_but(LAST, KEPT)
    }

    /// Writes the checkpoint with the lowest loss on held-out examples, then removes the one before.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_best<P: Parameters>(&self, checkpoint: &Checkpoint<P>) -> Result<(), TrainError> {
        self.put(BEST, checkpoint)?;
        self.remove_all_but(BEST, 1)
    }

    /// The checkpoint that [`save_best`](Self::save_best) wrote after `step`.
    ///
    /// # Errors
    /// [`TrainError::CheckpointDamaged`] if it is not whole, [`TrainError::Run`] if it is not there.
    pub fn best<P: Parameters>(
        &self,
        step: u64,
        template: &P,
        config: AdamWConfig,
    ) -> Result<Checkpoint<P>, TrainError> {
        self.read(&self.dir.join(format!("{BEST}{step:08}")), template, config)
    }

    /// Writes a checkpoint beside its place and moves it there.
    fn put<P: Parameters>(&self, kind: &str, checkpoint: &Checkpoint<P>) -> Result<(), TrainError> {
        let target = self.dir.join(format!("{kind}{:08}", checkpoint.step));
        let part = target.with_extension("part");
        let written = self.write_into(&part, checkpoint);
        if written.is_err() {
            // Best effort: the error that matters is the first one.
            let _ = fs::remove_dir_all(&part);
        }
        written?;
        if target.exists() {
            fs::remove_dir_all(&target).map_err(TrainError::io(&target, "replace"))?;
        }
        fs::rename(&part, &target).map_err(TrainError::io(&target, "rename into place"))?;
        sync_dir(&self.dir)
    }

    fn remove_all_but(&self, kind: &str, kept: usize) -> Result<(), TrainError> {
        for (_, path) in self.list(kind)?.into_iter().rev().skip(kept) {
            fs::remove_dir_all(&path).map_err(TrainError::io(&path, "remove"))?;
        }
        Ok(())
    }

    fn write_into<P: Parameters>(
        &self,
        part: &Path,
        checkpoint: &Checkpoint<P>,
    ) -> Result<(), TrainError> {
        if part.exists() {
            fs::remove_dir_all(part).map_err(TrainError::io(part, "remove"))?;
        }
        fs::create_dir_all(part).map_err(TrainError::io(part, "create"))?;
        let parameters =
            tensor_file::write(&part.join(PARAMETERS), checkpoint.parameters.parameters())?;
        let moments = checkpoint.optimizer.moments().iter().flat_map(|(name, m)| {
            [
                (format!("{name}{FIRST}"), m.first.clone()),
                (format!("{name}{SECOND}"), m.second.clone()),
            ]
        });
        let moments = tensor_file::write(&part.join(MOMENTS), moments)?;
        let state = State {
            step: checkpoint.step,
            tokens: checkpoint.tokens,
            course: checkpoint.course.clone(),
            identity: self.identity.clone(),
            files: BTreeMap::from([
                (PARAMETERS.to_owned(), parameters),
                (MOMENTS.to_owned(), moments),
            ]),
        };
        write_json_atomic(part.join(STATE), &state)?;
        sync_dir(part)
    }

    /// The newest checkpoint that is whole, shaped like `template`, and notes about those passed
    /// over; `None` if there is none.
    ///
    /// # Errors
    /// [`TrainError::CheckpointMismatch`] if the newest whole checkpoint belongs to another run.
    pub fn latest<P: Parameters>(
        &self,
        template: &P,
        config: AdamWConfig,
    ) -> Result<(Option<Checkpoint<P>>, Vec<String>), TrainError> {
        let mut notes = Vec::new();
        for (step, path) in self.list(LAST)?.into_iter().rev() {
            match self.read(&path, template, config) {
                Ok(checkpoint) => return Ok((Some(checkpoint), notes)),
                Err(mismatch @ TrainError::CheckpointMismatch { .. }) => return Err(mismatch),
                Err(error) => {
                    notes.push(format!("passing over the checkpoint of step {step}: {error}"));
                }
            }
        }
        Ok((None, notes))
    }

    /// Removes every checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Run`] if one cannot be removed.
    pub fn clear(&self) -> Result<(), TrainError> {
        self.remove_all_but(LAST, 0)?;
        self.remove_all_but(BEST, 0)
    }

    fn read<P: Parameters>(
        &self,
        path: &Path,
        template: &P,
        config: AdamWConfig,
    ) -> Result<Checkpoint<P>, TrainError> {
        let damaged =
            |reason: String| TrainError::CheckpointDamaged { path: path.to_owned(), reason };
        let json = fs::read(path.join(STATE)).map_err(TrainError::io(path.join(STATE), "read"))?;
        let state: State =
            serde_json::from_slice(&json).map_err(|e| damaged(format!("{STATE}: {e}")))?;
        if let Some(what) = state.identity.difference(&self.identity) {
            return Err(TrainError::CheckpointMismatch { path: path.to_owned(), what });
        }
        let named = template.parameters();
        let Some((_, first)) = named.first() else {
            return Err(damaged("the run has no parameters".to_owned()));
        };
        let device = first.clone().inner().device();
        let load = |file: &str| {
            let digest = state.files.get(file).ok_or_else(|| damaged(format!("no {file}")))?;
            tensor_file::read(&path.join(file), digest, &device)
        };
        let mut loaded = load(PARAMETERS)?;
        for (name, expected) in &named {
            match loaded.get(name) {
                None => return Err(damaged(format!("`{name}` is missing"))),
                Some(found) if found.dims() != expected.dims() => {
                    return Err(damaged(format!("`{name}` is {:?}", found.dims())));
                }
                Some(_) => {}
            }
        }
        // Every name was checked above, so that the old tensor never stands in.
        let parameters =
            template.map_parameters(&mut |name, old| loaded.remove(name).unwrap_or(old));
        let moments = pair_moments(load(MOMENTS)?)
            .ok_or_else(|| damaged(format!("{MOMENTS}: a moment lacks its partner")))?;
        let optimizer = AdamW::restored(config, state.step, moments);
        let State { step, tokens, course, .. } = state;
        Ok(Checkpoint { step, tokens, parameters, optimizer, course })
    }

    /// Complete checkpoints of a kind by rising step.
    fn list(&self, kind: &str) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(TrainError::io(&self.dir, "list"))? {
            let path = entry.map_err(TrainError::io(&self.dir, "list"))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let step = name.and_then(|name| name.strip_prefix(kind)?.parse().ok());
            if let Some(step) = step {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found)
    }
}

fn pair_moments(mut tensors: BTreeMap<String, Tensor<2>>) -> Option<BTreeMap<String, Moments>> {
    let names: Vec<String> =
        tensors.keys().filter_map(|key| key.strip_suffix(FIRST)).map(str::to_owned).collect();
    let mut moments = BTreeMap::new();
    for name in names {
        let first = tensors.remove(&format!("{name}{FIRST}"))?;
        let second = tensors.remove(&format!("{name}{SECOND}"))?;
        moments.insert(name, Moments { first, second });
    }
    tensors.is_empty().then_some(moments)
}

/// Makes renames inside `dir` durable.
fn sync_dir(dir: &Path) -> Result<(), TrainError> {
    fs::File::open(dir).and_then(|f| f.sync_all()).map_err(TrainError::io(dir, "sync"))
}
