//! Log-probabilities under the reference: the same weights with the adapter off.
//!
//! Computed once, before training, and written down pair by pair, so that a killed pass goes on
//! where it was and a later run with the same model and data makes none. The file's name carries
//! a hash of model and tokens (and with them data, template and tokenizer).

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use ingrain_lm::{CausalLm, TokenBatch, side_by_side};
use ingrain_run::{Event, JsonlStore, Keyed, RunError};
use ingrain_train::{Batching, ExampleSize, Plan, TrainConfig, TrainError, TrainRun, fingerprint};
use serde::{Deserialize, Serialize};

use crate::{DpoError, TokenizedPair};

/// Log-probabilities of one pair's completion tokens, in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceLogps {
    /// The pair's place in the data, as text.
    pair: String,
    /// One value a completion token of the chosen reply.
    pub chosen: Vec<f32>,
    /// One value a completion token of the other reply.
    pub rejected: Vec<f32>,
}

impl Keyed for ReferenceLogps {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.pair)
    }
}

/// Name of the data under a model: its identity, and every token with its mask.
pub(crate) fn data_fingerprint(base: &str, pairs: &[TokenizedPair]) -> String {
    let mut parts = vec![base.as_bytes().to_vec()];
    for pair in pairs {
        for sequence in [&pair.chosen, &pair.rejected] {
            parts.push(sequence.ids.iter().flat_map(|id| id.to_le_bytes()).collect());
            parts.push(sequence.completion.iter().map(|&is| u8::from(is)).collect());
        }
    }
    fingerprint(parts)
}

/// Sizes of the pairs, for batching.
pub(crate) fn sizes(pairs: &[TokenizedPair]) -> Vec<ExampleSize> {
    pairs.iter().map(|pair| ExampleSize { rows: 2, width: pair.width() }).collect()
}

/// Reads the reference's log-probabilities from the cache in `run.dir`, and computes what is
/// missing. A damaged cache is thrown away with a note.
///
/// # Errors
/// [`TrainError::Interrupted`] after a request to stop, with everything so far saved;
/// [`DpoError::Run`] if the cache cannot be written.
pub fn reference_logps(
    model: &CausalLm,
    base: &str,
    pairs: &[TokenizedPair],
    training: &TrainConfig,
    run: &TrainRun<'_>,
) -> Result<Vec<ReferenceLogps>, DpoError> {
    let key = data_fingerprint(base, pairs);
    let path = run.dir.join(format!("reference_logps-{}.jsonl", &key[..16]));
    std::fs::create_dir_all(run.dir).map_err(|e| RunError::io(run.dir, "create", e))?;
    let mut store = open(&path, pairs, run)?;
    let stage = format!("{}/reference", run.stage);
    let unit = "pairs".to_owned();
    let total = Some(pairs.len() as u64);
    run.observer.on_event(&Event::StageStarted { stage: stage.clone(), total, unit });
    let (started, reused, mut tokens) = (Instant::now(), store.len() == pairs.len(), 0);
    // All of a group or none: a group's composition may change the last bits of its values.
    let whole = |group: &Vec<usize>| group.iter().all(|pair| store.contains(&pair.to_string()));
    let groups: Vec<_> =
        groups(pairs, training.micro_batch_tokens).into_iter().filter(|g| !whole(g)).collect();
    for passes in groups.chunks(training.parallel_passes.max(1)) {
        if run.interrupt.is_requested() {
            let (total, dir) = (pairs.len() as u64, run.dir.to_owned());
            let (done, unit) = (store.len() as u64, "reference pairs");
            return Err(TrainError::Interrupted { done, total, unit, dir }.into());
        }
        for records in side_by_side(passes, |group| score(model, pairs, group)) {
            for record in records? {
                store.append(&record)?;
            }
        }
        tokens += passes.iter().flatten().map(|&i| real_tokens(&pairs[i])).sum::<u64>();
        let done = store.len() as u64;
        run.observer.on_event(&Event::Progress { stage: stage.clone(), done, tokens });
    }
    store.sync()?;
    let mut logps = store.iter().collect::<Result<Vec<_>, _>>()?;
    logps.sort_by_key(|record| record.pair.parse::<usize>().unwrap_or(usize::MAX));
    run.observer.on_event(&Event::StageFinished {
        stage,
        done: logps.len() as u64,
        tokens,
        seconds: started.elapsed().as_secs_f64(),
        reused,
    });
    Ok(logps)
}

/// Opens the cache; one that is damaged or does not fit is removed first.
fn open(
    path: &Path,
    pairs: &[TokenizedPair],
    run: &TrainRun<'_>,
) -> Result<JsonlStore<ReferenceLogps>, DpoError> {
    let problem = match JsonlStore::<ReferenceLogps>::open(path) {
        Ok(store) => {
            if store.iter().all(|record| record.is_ok_and(|record| fits(&record, pairs))) {
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

fn fits(record: &ReferenceLogps, pairs: &[TokenizedPair]) -> bool {
    let pair = record.pair.parse::<usize>().ok().and_then(|index| pairs.get(index));
    pair.is_some_and(|pair| {
        record.chosen.len() == pair.chosen.completion_len()
            && record.rejected.len() == pair.rejected.completion_len()
    })
}

/// Pairs of similar length together, the longest first.
fn groups(pairs: &[TokenizedPair], micro_batch_tokens: usize) -> Vec<Vec<usize>> {
    let batching =
        Batching { batch_size: pairs.len(), micro_batch_tokens, window_batches: 1, seed: 0 };
    let epoch = Plan::new(sizes(pairs), batching).epoch(0);
    epoch.into_iter().flat_map(|batch| batch.micro_batches).collect()
}

fn score(
    model: &CausalLm,
    pairs: &[TokenizedPair],
    group: &[usize],
) -> Result<Vec<ReferenceLogps>, DpoError> {
    let batch = TokenBatch::new(&sequences(pairs, group), model.device());
    let values = model
        .completion_logprobs(&batch, None)
        .try_to_vec_as::<f32>()
        .map_err(|e| DpoError::Device { what: "log-probabilities", reason: e.to_string() })?;
    if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
        let ids: Vec<&str> = group.iter().map(|&i| pairs[i].id.as_str()).collect();
        return Err(DpoError::Pair {
            id: ids.join(", "),
            problem: format!("the reference gives a token the log-probability {bad}"),
        });
    }
    let mut rest = values.as_slice();
    let mut rows = batch.counts.iter().map(|&count| {
        let (row, tail) = rest.split_at(count);
        rest = tail;
        row.to_vec()
    });
    let chosen: Vec<Vec<f32>> = rows.by_ref().take(group.len()).collect();
    let record = |((&pair, chosen), rejected): ((&usize, _), _)| ReferenceLogps {
        pair: pair.to_string(),
        chosen,
        rejected,
    };
    Ok(group.iter().zip(chosen).zip(rows).map(record).collect())
}

/// All chosen conversations, then all rejected ones.
pub(crate) fn sequences<'a>(
    pairs: &'a [TokenizedPair],
    group: &[usize],
) -> Vec<&'a ingrain_lm::TokenSequence> {
    let chosen = group.iter().map(|&i| &pairs[i].chosen);
    chosen.chain(group.iter().map(|&i| &pairs[i].rejected)).collect()
}

/// Tokens of both conversations.
pub(crate) fn real_tokens(pair: &TokenizedPair) -> u64 {
    (pair.chosen.ids.len() + pair.rejected.ids.len()) as u64
}
