//! Log-probabilities under the reference: the same weights with the adapter off.
//!
//! Computed once, before training, and written down example by example, so that a killed pass goes on
//! where it was. The file's name carries a hash of model, tokens (and with them data, template and
//! tokenizer) and batching. A folder shared between runs keeps finished files, so that a later run over
//! the same model and data makes no pass.

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use ingrain_lm::{CausalLm, side_by_side};
use ingrain_run::{Event, JsonlStore, Keyed, RunError, write_atomic};
use ingrain_train::{Batching, Plan, TrainConfig, TrainError, TrainRun, fingerprint};
use serde::{Deserialize, Serialize};

use crate::DpoError;
use crate::layout::{Sequences, batch, data_fingerprint, real_tokens, sizes};

/// Log-probabilities of one example's completion tokens, in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceLogps {
    /// The example's place in the data, as text.
    example: String,
    /// One row a sequence, one value a completion token.
    pub rows: Vec<Vec<f32>>,
}

impl Keyed for ReferenceLogps {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.example)
    }
}

/// What the reference is to score.
#[derive(Clone, Copy, Debug)]
pub struct ReferencePass<'a> {
    /// The reference.
    pub model: &'a CausalLm,
    /// Names its weights (hub revision or sha256).
    pub base: &'a str,
    /// The data: as many sequences in each example.
    pub examples: &'a [Sequences<'a>],
    /// Size of a pass, and how many run side by side.
    pub training: &'a TrainConfig,
    /// Folder of finished passes that runs share.
    pub shared: Option<&'a Path>,
}

impl ReferencePass<'_> {
    /// Reads the log-probabilities from the cache in `run.dir` or from the shared folder, and computes
    /// what is missing. A damaged cache is thrown away with a note.
    ///
    /// # Errors
    /// [`TrainError::Interrupted`] after a request to stop, with everything so far saved;
    /// [`DpoError::Run`] if the cache cannot be written.
    pub fn logps(&self, run: &TrainRun<'_>) -> Result<Vec<ReferenceLogps>, DpoError> {
        let budget = self.training.micro_batch_tokens;
        let key = fingerprint([data_fingerprint(self.base, self.examples), budget.to_string()]);
        let name = format!("reference_logps-{}.jsonl", &key[..16]);
        let path = run.dir.join(&name);
        let shared = self.shared.map(|folder| folder.join(&name));
        std::fs::create_dir_all(run.dir).map_err(|e| RunError::io(run.dir, "create", e))?;
        if let Some(shared) = shared.as_ref().filter(|shared| !path.exists() && shared.exists()) {
            copy(shared, &path)?;
        }
        let mut store = self.open(&path, run)?;
        let computed = self.complete(&mut store, run)?;
        if let Some(shared) = shared.filter(|shared| computed || !shared.exists())
            && let Err(error) = copy(&path, &shared)
        {
            // The run has what it needs; the folder is for the next one.
            let message = format!("reference log-probabilities stay with this run: {error}");
            run.observer.on_event(&Event::Note { stage: run.stage.to_owned(), message });
        }
        let mut logps = store.iter().collect::<Result<Vec<_>, _>>()?;
        logps.sort_by_key(|record| record.example.parse::<usize>().unwrap_or(usize::MAX));
        Ok(logps)
    }

    /// Scores what the store lacks; whether that was anything.
    fn complete(
        &self,
        store: &mut JsonlStore<ReferenceLogps>,
        run: &TrainRun<'_>,
    ) -> Result<bool, DpoError> {
        let count = self.examples.len();
        let stage = format!("{}/reference", run.stage);
        let (total, unit) = (Some(count as u64), "examples".to_owned());
        run.observer.on_event(&Event::StageStarted { stage: stage.clone(), total, unit });
        let (started, reused, mut tokens) = (Instant::now(), store.len() == count, 0);
        // All of a group or none: a group's composition may change the last bits of its values.
        let whole = |group: &Vec<usize>| group.iter().all(|at| store.contains(&at.to_string()));
        let groups: Vec<_> = self.groups().into_iter().filter(|g| !whole(g)).collect();
        for passes in groups.chunks(self.training.parallel_passes.max(1)) {
            if run.interrupt.is_requested() {
                let (total, dir) = (count as u64, run.dir.to_owned());
                let (done, unit) = (store.len() as u64, "reference examples");
                return Err(TrainError::Interrupted { done, total, unit, dir }.into());
            }
            for records in side_by_side(passes, |group| self.score(group)) {
                for record in records? {
                    store.append(&record)?;
                }
            }
            tokens += passes.iter().flatten().map(|&i| real_tokens(&self.examples[i])).sum::<u64>();
            let done = store.len() as u64;
            run.observer.on_event(&Event::Progress { stage: stage.clone(), done, tokens });
        }
        store.sync()?;
        run.observer.on_event(&Event::StageFinished {
            stage,
            done: store.len() as u64,
            tokens,
            seconds: started.elapsed().as_secs_f64(),
            reused,
        });
        Ok(!reused)
    }

    /// Opens the cache; one that is damaged or does not fit is removed first.
    fn open(
        &self,
        path: &Path,
        run: &TrainRun<'_>,
    ) -> Result<JsonlStore<ReferenceLogps>, DpoError> {
        let problem = match JsonlStore::<ReferenceLogps>::open(path) {
            Ok(store) => {
                if store.iter().all(|record| record.is_ok_and(|record| self.fits(&record))) {
                    return Ok(store);
                }
                "a record does not fit the data".to_owned()
            }
            Err(RunError::Corrupt { line, reason, .. }) => format!("line {line}: {reason}"),
            Err(other) => return Err(other.into()),
        };
        let message = format!("{}: computing it again ({problem})", path.display());
        run.observer.on_event(&Event::Note { stage: run.stage.to_owned(), message });
        std::fs::remove_file(path).map_err(|e| RunError::io(path, "remove", e))?;
        Ok(JsonlStore::open(path)?)
    }

    fn fits(&self, record: &ReferenceLogps) -> bool {
        let example = record.example.parse().ok().and_then(|at: usize| self.examples.get(at));
        example.is_some_and(|example| {
            let lengths = example.iter().map(|sequence| sequence.completion_len());
            lengths.eq(record.rows.iter().map(Vec::len))
        })
    }

    /// Examples of similar length together, the longest first.
    fn groups(&self) -> Vec<Vec<usize>> {
        let batching = Batching {
            batch_size: self.examples.len(),
            micro_batch_tokens: self.training.micro_batch_tokens,
            window_batches: 1,
            seed: 0,
        };
        let epoch =
            Plan::new(sizes(self.examples, self.model.shares_beginnings()), batching).epoch(0);
        epoch.into_iter().flat_map(|batch| batch.micro_batches).collect()
    }

    fn score(&self, group: &[usize]) -> Result<Vec<ReferenceLogps>, DpoError> {
        let joined = self.model.shares_beginnings();
        let batch = batch(self.examples, group, joined, self.model.device());
        let values =
            self.model.completion_logprobs(&batch, None).try_to_vec_as::<f32>().map_err(|e| {
                DpoError::Device { what: "log-probabilities", reason: e.to_string() }
            })?;
        if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
            let places: Vec<String> = group.iter().map(|i| format!("#{i}")).collect();
            return Err(DpoError::Pair {
                id: places.join(", "),
                problem: format!("the reference gives a token the log-probability {bad}"),
            });
        }
        let mut rest = values.as_slice();
        let mut rows = batch.counts.iter().map(|&count| {
            let (row, tail) = rest.split_at(count);
            rest = tail;
            row.to_vec()
        });
        let mut records: Vec<ReferenceLogps> = group
            .iter()
            .map(|at| ReferenceLogps { example: at.to_string(), rows: Vec::new() })
            .collect();
        for side in 0..self.examples.first().map_or(0, Vec::len) {
            debug_assert!(group.iter().all(|&at| self.examples[at].len() > side));
            for record in &mut records {
                record.rows.extend(rows.next());
            }
        }
        Ok(records)
    }
}

/// Copies a file to where it appears whole or not at all.
fn copy(from: &Path, to: &Path) -> Result<(), RunError> {
    let bytes = std::fs::read(from).map_err(|e| RunError::io(from, "read", e))?;
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(|e| RunError::io(folder, "create", e))?;
    }
    write_atomic(to, &bytes)
}
