//! The loop that every generating stage runs: batches out, records onto disk, progress told.

use std::time::{Duration, Instant};

use ingrain_chat::{ChatError, ChatModel, ChatReply, ChatRequest, Message, Sampling};
use ingrain_run::{Event, Interrupt, JsonlStore, Keyed, Observer, derive_seed};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// So many failures without a success between, and a stage stops instead of running dry.
const GIVE_UP_AFTER: u64 = 16;

/// Pause between two [`Event::Meter`]s.
const METER_PAUSE: Duration = Duration::from_millis(500);

/// With what, and how, a stage generates.
///
/// Requests go out in batches of `batch_size` consecutive indices. A resumed stage sends a batch
/// that is not complete *whole* and keeps the records that are there, because matrix products of
/// another batch shape round differently; so its output is that of an undisturbed run. A model for
/// which that makes no difference ([`ChatModel::batch_matters`]) is asked only for what is missing.
/// In front of a model that costs money, put [`ingrain_chat::Cached`]: it answers what was answered
/// before.
#[derive(Clone)]
pub struct Generation<'a> {
    /// Name of the stage, as in the manifest; part of every seed.
    pub stage: &'a str,
    /// Who answers.
    pub model: &'a dyn ChatModel,
    /// How; `seed` is replaced, request by request.
    pub sampling: Sampling,
    /// Seed of the run.
    pub seed: u64,
    /// Requests in one call of the model. Part of the result of a local model: keep it over a
    /// resume. For an endpoint, many times its requests under way, so that few idle at a batch's end.
    pub batch_size: usize,
    /// Told about progress.
    pub observer: &'a dyn Observer,
    /// Looked at between batches.
    pub interrupt: &'a Interrupt,
}

/// What a generating stage came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// Stage name.
    pub stage: String,
    /// Records on disk, those of earlier processes included.
    pub done: u64,
    /// Records wanted.
    pub total: u64,
    /// Tokens of this process, prompts and replies.
    pub tokens: u64,
    /// Wall-clock seconds of this process.
    pub seconds: f64,
    /// Requests of this process that failed; a later run sends them again.
    pub failed: Vec<Failure>,
}

impl StageReport {
    /// Whether every record is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.total
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Key of the record that is missing for it.
    pub key: String,
    /// Why.
    pub error: String,
}

/// Requests that differ only by index. Indices are counted over the whole stage.
pub(crate) trait Work {
    type Record: Keyed + Serialize + DeserializeOwned;

    /// Number of requests.
    fn len(&self) -> usize;
    /// Key of the record of request `i`; known before it is sent.
    fn key(&self, i: usize) -> String;
    /// Number of request `i` for its seed.
    fn seed_index(&self, i: usize) -> u64 {
        i as u64
    }
    /// The conversation to continue, made when its batch goes out: texts of earlier stages stay on disk until
    /// then. `written` holds what this stage has written.
    fn messages(
        &self,
        i: usize,
        written: &JsonlStore<Self::Record>,
    ) -> Result<Vec<Message>, DataError>;
    /// The record of a reply.
    fn record(&self, i: usize, reply: ChatReply) -> Result<Self::Record, DataError>;
    /// Batches hold whole groups of so many consecutive requests.
    fn group(&self) -> usize {
        1
    }
}

/// Runs a stage from end to end whose records are its units of work.
pub(crate) fn collect<W: Work>(
    generation: &Generation<'_>,
    work: &W,
    store: &mut JsonlStore<W::Record>,
    unit: &str,
) -> Result<StageReport, DataError> {
    let done = (0..work.len()).filter(|&i| store.contains(&work.key(i))).count();
    let mut collector = Collector::start(generation, store, work.len(), done, unit);
    collector.run(work)?;
    collector.finish()
}

/// One stage at work.
pub(crate) struct Collector<'a, 'g, R> {
    generation: &'a Generation<'g>,
    store: &'a mut JsonlStore<R>,
    started: Instant,
    metered: Instant,
    /// Done by earlier processes.
    done_before: u64,
    failures_in_a_row: u64,
    report: StageReport,
}

impl<'a, 'g, R: Keyed + Serialize + DeserializeOwned> Collector<'a, 'g, R> {
    /// Announces a stage of `total` records, of which `done` are in the store.
    pub(crate) fn start(
        generation: &'a Generation<'g>,
        store: &'a mut JsonlStore<R>,
        total: usize,
        done: usize,
        unit: &str,
    ) -> Self {
        let stage = generation.stage.to_owned();
        generation.observer.on_event(&Event::StageStarted {
            stage: stage.clone(),
            total: Some(total as u64),
            unit: unit.to_owned(),
        });
        let report = StageReport {
            stage,
            done: done as u64,
            total: total as u64,
            tokens: 0,
            seconds: 0.0,
            failed: Vec::new(),
        };
        let (started, done_before) = (Instant::now(), done as u64);
        let metered = started;
        Self { generation, store, started, metered, done_before, failures_in_a_row: 0, report }
    }

    /// The store, to read back what was written.
    pub(crate) fn store(&self) -> &JsonlStore<R> {
        self.store
    }

    /// For stages whose units are not records: so many are done.
    pub(crate) fn set_done(&mut self, done: usize) {
        self.report.done = done as u64;
    }

    /// Sends everything that is missing.
    pub(crate) fn run(&mut self, work: &impl Work<Record = R>) -> Result<(), DataError> {
        let group = work.group().max(1);
        let batch = (self.generation.batch_size / group).max(1) * group;
        for start in (0..work.len()).step_by(batch) {
            let end = (start + batch).min(work.len());
            let is_there = |&i: &usize| self.store.contains(&work.key(i));
            let mut ask: Vec<usize> = (start..end).collect();
            if ask.iter().all(is_there) {
                continue;
            }
            if !self.generation.model.batch_matters() {
                ask.retain(|i| !is_there(i));
            }
            if self.generation.interrupt.is_requested() {
                return Err(self.interrupted());
            }
            let keys: Vec<_> = ask.iter().map(|&i| work.key(i)).collect();
            let request = |&i: &usize| {
                let messages = work.messages(i, self.store)?;
                Ok::<_, DataError>(self.request(messages, work.seed_index(i)))
            };
            let requests: Vec<_> = ask.iter().map(request).collect::<Result<_, _>>()?;
            self.send(&requests, &keys, |at, reply| work.record(ask[at], reply))?;
        }
        Ok(())
    }

    /// Forces the records onto the disk and says that the stage is over.
    pub(crate) fn finish(mut self) -> Result<StageReport, DataError> {
        self.store.sync()?;
        self.report.seconds = self.started.elapsed().as_secs_f64();
        let StageReport { stage, done, tokens, seconds, .. } = self.report.clone();
        let reused = tokens == 0 && self.report.failed.is_empty();
        let finished = Event::StageFinished { stage, done, tokens, seconds, reused };
        self.generation.observer.on_event(&finished);
        Ok(self.report)
    }

    fn request(&self, messages: Vec<Message>, index: u64) -> ChatRequest {
        let Generation { seed, stage, sampling, .. } = self.generation;
        let seed = derive_seed(*seed, stage, index);
        ChatRequest::new(messages, Sampling { seed, ..sampling.clone() })
    }

    fn send(
        &mut self,
        requests: &[ChatRequest],
        keys: &[String],
        record: impl Fn(usize, ChatReply) -> Result<R, DataError>,
    ) -> Result<(), DataError> {
        let mut stop: Option<DataError> = None;
        let mut answered = vec![false; requests.len()];
        let model = self.generation.model;
        model.complete(requests, &mut |at, result| {
            let Some(answered) = answered.get_mut(at) else { return };
            if stop.is_some() || std::mem::replace(answered, true) {
                return;
            }
            let outcome = match result {
                Ok(reply) => record(at, reply.clone()).and_then(|record| self.keep(record, &reply)),
                Err(error) => self.fail(&keys[at], error),
            };
            stop = outcome.err();
        });
        if let Some(error) = stop {
            return Err(error);
        }
        for (key, _) in keys.iter().zip(&answered).filter(|&(_, &answered)| !answered) {
            if self.generation.interrupt.is_requested() {
                return Err(self.interrupted());
            }
            self.fail(key, ChatError::Model("it gave no reply to this request".to_owned()))?;
        }
        Ok(())
    }

    fn keep(&mut self, record: R, reply: &ChatReply) -> Result<(), DataError> {
        self.failures_in_a_row = 0;
        self.report.tokens += (reply.prompt_tokens + reply.completion_tokens) as u64;
        if self.store.append(&record)? {
            self.report.done += 1;
        }
        self.generation.observer.on_event(&Event::Progress {
            stage: self.report.stage.clone(),
            done: self.report.done,
            tokens: self.report.tokens,
        });
        self.meter();
        Ok(())
    }

    fn meter(&mut self) {
        if self.metered.elapsed() < METER_PAUSE {
            return;
        }
        self.metered = Instant::now();
        let StageReport { stage, done, total, tokens, failed, .. } = &self.report;
        let fresh = done.saturating_sub(self.done_before) as f64;
        let per_sec = fresh / self.started.elapsed().as_secs_f64();
        let left = total.saturating_sub(*done) as f64;
        self.generation.observer.on_event(&Event::Meter {
            stage: stage.clone(),
            done: *done,
            total: *total,
            per_sec,
            failed: failed.len() as u64,
            tokens: *tokens,
            cost: self.generation.model.cost(),
            eta_secs: (per_sec > 0.0).then(|| left / per_sec),
        });
    }

    fn fail(&mut self, key: &str, error: ChatError) -> Result<(), DataError> {
        match error {
            ChatError::Interrupted => return Err(self.interrupted()),
            ChatError::Journal(error) => return Err(error.into()),
            ChatError::Budget(reason) => {
                let StageReport { stage, done, total, .. } = self.report.clone();
                return Err(DataError::Budget { stage, done, total, reason });
            }
            _ => {}
        }
        self.failures_in_a_row += 1;
        if self.failures_in_a_row >= GIVE_UP_AFTER.min(self.report.total) {
            let (stage, failed) = (self.report.stage.clone(), self.failures_in_a_row);
            return Err(DataError::GaveUp { stage, failed, source: error });
        }
        let failure = Failure { key: key.to_owned(), error: error.to_string() };
        self.generation.observer.on_event(&Event::Note {
            stage: self.report.stage.clone(),
            message: format!("{}: {}", failure.key, failure.error),
        });
        self.report.failed.push(failure);
        Ok(())
    }

    fn interrupted(&self) -> DataError {
        let StageReport { stage, done, total, .. } = self.report.clone();
        DataError::Interrupted { stage, done, total }
    }
}
