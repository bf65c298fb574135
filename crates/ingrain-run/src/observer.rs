//! How long-running work reports what it is doing.
//!
//! Libraries never print. They send [`Event`]s to an [`Observer`]; a binary decides whether that
//! becomes a progress bar, a line of `train.jsonl` or nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Something that happened during a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage begins; `total` counts its units of work where that is known.
    StageStarted {
        /// Stage name, as in the manifest.
        stage: String,
        /// Units of work to do.
        total: Option<u64>,
        /// What one unit is: `replies`, `pairs`, `steps`, `bytes`.
        unit: String,
    },
    /// A stage got further.
    Progress {
        /// Stage name.
        stage: String,
        /// Units done so far, those of earlier runs included.
        done: u64,
        /// Tokens processed so far in this process.
        tokens: u64,
    },
    /// How a stage is getting on, at most twice a second.
    Meter {
        /// Stage name.
        stage: String,
        /// Units done so far, those of earlier runs included.
        done: u64,
        /// Units in all.
        total: u64,
        /// Units a second in this process.
        per_sec: f64,
        /// Requests of this process that failed.
        failed: u64,
        /// Tokens processed so far in this process.
        tokens: u64,
        /// Money so far, in the user's currency, where it is counted.
        cost: Option<f64>,
        /// Seconds that the rest will take at this rate; none before anything is done.
        eta_secs: Option<f64>,
    },
    /// One optimiser step of a trainer.
    Step {
        /// Stage name.
        stage: String,
        /// Number of the step, counted from 1.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Loss, accuracy, margin, learning rate, ... by name.
        metrics: BTreeMap<String, f64>,
    },
    /// A stage ended.
    StageFinished {
        /// Stage name.
        stage: String,
        /// Units done.
        done: u64,
        /// Tokens processed in this process.
        tokens: u64,
        /// Wall-clock seconds of this process.
        seconds: f64,
        /// Whether everything was there already from an earlier run.
        reused: bool,
    },
    /// Something a person should know; not an error.
    Note {
        /// Stage name.
        stage: String,
        /// One line of text.
        message: String,
    },
}

impl Event {
    fn stage_mut(&mut self) -> &mut String {
        match self {
            Self::StageStarted { stage, .. }
            | Self::Progress { stage, .. }
            | Self::Meter { stage, .. }
            | Self::Step { stage, .. }
            | Self::StageFinished { stage, .. }
            | Self::Note { stage, .. } => stage,
        }
    }
}

/// Receives [`Event`]s. Called from the thread that does the work: return quickly.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn on_event(&self, event: &Event);
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on_event(&self, _event: &Event) {}
}

/// Hands every event to several observers, in order.
pub struct Several<'a>(pub Vec<&'a dyn Observer>);

impl Observer for Several<'_> {
    fn on_event(&self, event: &Event) {
        self.0.iter().for_each(|observer| observer.on_event(event));
    }
}

/// Hands events of a run within a run on, with the inner run's folder before the names of its stages, which
/// are the outer one's names too.
///
/// # Examples
/// ```
/// use ingrain_run::{Event, Observer, Recorder, Within};
///
/// let outer = Recorder::default();
/// let inner = Within { folder: "control", observer: &outer };
/// inner.on_event(&Event::Note { stage: "pairs".into(), message: "3 dropped".into() });
/// assert_eq!(outer.notes(), ["control/pairs: 3 dropped"]);
/// ```
#[derive(Clone, Copy)]
pub struct Within<'a> {
    /// Folder of the inner run.
    pub folder: &'a str,
    /// Observer of the outer one.
    pub observer: &'a dyn Observer,
}

impl Observer for Within<'_> {
    fn on_event(&self, event: &Event) {
        let mut event = event.clone();
        let stage = event.stage_mut();
        *stage = format!("{}/{stage}", self.folder);
        self.observer.on_event(&event);
    }
}

/// An observer that keeps everything, for tests and for callers that look afterwards.
///
/// # Examples
/// ```
/// use ingrain_run::{Event, Observer, Recorder};
///
/// let recorder = Recorder::default();
/// recorder.on_event(&Event::Note { stage: "pairs".into(), message: "3 dropped".into() });
/// assert_eq!(recorder.events().len(), 1);
/// assert_eq!(recorder.notes(), ["pairs: 3 dropped"]);
/// ```
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// Everything so far, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The notes so far, as `stage: message`.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let notes = self.events().into_iter().filter_map(|event| match event {
            Event::Note { stage, message } => Some(format!("{stage}: {message}")),
            _ => None,
        });
        notes.collect()
    }
}

impl Observer for Recorder {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    }
}
