//! Runs one stage under the manifest: reuse, or work with time and tokens written down as it goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Begin, Event, Manifest, Observer, RunError, StagePlan, StageRecord, StageTimer};

/// A kill loses at most this much of a stage's recorded time.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// A stage at work. It is itself an [`Observer`]: hand it to what does the work, and it takes down
/// tokens and time from the events on their way to the real observer.
pub struct StageRun<'a> {
    dir: PathBuf,
    begin: Begin,
    observer: &'a dyn Observer,
    progress: Mutex<Progress<'a>>,
}

struct Progress<'a> {
    manifest: &'a mut Manifest,
    stage: String,
    timer: StageTimer,
    /// Tokens reported by events, in this process.
    reported_tokens: u64,
    /// Tokens not yet in the manifest.
    unsaved_tokens: u64,
    counts: BTreeMap<String, u64>,
    saved_at: Instant,
    failure: Option<RunError>,
}

impl Manifest {
    /// Runs `work` unless the stage can be reused; then marks it done.
    ///
    /// If `work` fails (an interruption is a failure too), the stage stays `running` with the time
    /// and tokens it took, and the next call resumes it. Reuse is told to the observer as a
    /// [`Event::StageFinished`] with `reused`; other events are `work`'s own to send.
    ///
    /// # Errors
    /// What `work` returns, or a [`RunError`] from the manifest itself.
    ///
    /// # Examples
    /// ```
    /// use ingrain_run::{Manifest, RunDir, RunError, Silent, StagePlan, write_atomic};
    ///
    /// # let tmp = tempfile::tempdir().map_err(|e| RunError::io("tmp", "create", e))?;
    /// let run = RunDir::open(tmp.path())?;
    /// let mut manifest = Manifest::open(run.path())?;
    /// let plan = StagePlan::new("prompts").text("persona", "sarcasm").writes(["prompts.jsonl"]);
    /// for _ in 0..2 {
    ///     // The second time, nothing runs.
    ///     let record = manifest.run_stage(&plan, &Silent, |stage| {
    ///         stage.count("prompts.jsonl", 1);
    ///         write_atomic(stage.file("prompts.jsonl"), b"{\"text\":\"Why?\"}\n")
    ///     })?;
    ///     assert_eq!(record.outputs[0].count, Some(1));
    /// }
    /// # Ok::<(), RunError>(())
    /// ```
    pub fn run_stage<E: From<RunError>>(
        &mut self,
        plan: &StagePlan,
        observer: &dyn Observer,
        work: impl FnOnce(&StageRun<'_>) -> Result<(), E>,
    ) -> Result<StageRecord, E> {
        let begin = self.begin(plan, observer)?;
        if begin == Begin::Reuse {
            return Ok(self.reused(plan, observer));
        }
        let dir = self.dir().to_path_buf();
        let run =
            StageRun { dir, begin, observer, progress: Mutex::new(Progress::new(self, plan)) };
        let result = work(&run);
        let ended = run.end();
        // Of two failures, the stage's own explains more.
        result?;
        Ok(self.finish(plan, &ended?)?)
    }

    fn reused(&self, plan: &StagePlan, observer: &dyn Observer) -> StageRecord {
        // `begin` has just found it.
        let record =
            self.stage(plan.name()).cloned().unwrap_or_else(|| StageRecord::new(plan.name()));
        observer.on_event(&Event::StageFinished {
            stage: record.name.clone(),
            done: record.outputs.iter().filter_map(|o| o.count).sum(),
            tokens: 0,
            seconds: 0.0,
            reused: true,
        });
        record
    }
}

impl<'a> StageRun<'a> {
    /// Whether earlier work of this stage is there to go on from.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.begin == Begin::Resume
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file inside the run directory.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// Says how many records a file of this stage holds.
    pub fn count(&self, file: impl Into<String>, records: u64) {
        self.lock().counts.insert(file.into(), records);
    }

    /// Adds tokens that no event reports (events' tokens are taken down by themselves).
    pub fn add_tokens(&self, tokens: u64) {
        self.lock().unsaved_tokens += tokens;
    }

    fn lock(&self) -> MutexGuard<'_, Progress<'a>> {
        // A panic in between leaves every field valid, so a poisoned lock is still good.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(self) -> Result<BTreeMap<String, u64>, RunError> {
        let mut progress = self.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        progress.save();
        progress.failure.map_or(Ok(progress.counts), Err)
    }
}

impl Observer for StageRun<'_> {
    fn on_event(&self, event: &Event) {
        self.observer.on_event(event);
        let mut progress = self.lock();
        if let Event::Progress { tokens, .. } | Event::StageFinished { tokens, .. } = event {
            // Events carry totals of this process.
            progress.unsaved_tokens += tokens.saturating_sub(progress.reported_tokens);
            progress.reported_tokens = progress.reported_tokens.max(*tokens);
        }
        if progress.saved_at.elapsed() >= SAVE_EVERY {
            progress.save();
        }
    }
}

impl<'a> Progress<'a> {
    fn new(manifest: &'a mut Manifest, plan: &StagePlan) -> Self {
        Self {
            manifest,
            stage: plan.name().to_owned(),
            timer: StageTimer::start(),
            reported_tokens: 0,
            unsaved_tokens: 0,
            counts: BTreeMap::new(),
            saved_at: Instant::now(),
            failure: None,
        }
    }

    /// Keeps the first failure; an observer cannot return one.
    fn save(&mut self) {
        let seconds = self.timer.lap();
        let tokens = std::mem::take(&mut self.unsaved_tokens);
        if let Err(error) = self.manifest.add(&self.stage, seconds, tokens) {
            self.failure.get_or_insert(error);
        }
        self.saved_at = Instant::now();
    }
}
