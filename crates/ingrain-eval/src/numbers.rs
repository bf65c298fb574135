//! Numbers that models gave, kept so that they are asked for once.

use std::borrow::Cow;

use ingrain_chat::ChatError;
use ingrain_run::{Event, JsonlStore, Keyed, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::{EvalError, SuiteRun};

/// So many failures without a success between, and scoring stops.
const GIVE_UP_AFTER: usize = 16;

/// Decimals that are kept.
const SCALE: f64 = 1e4;

/// Numbers under a name, as a line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Numbers {
    key: String,
    values: Vec<f64>,
}

impl Keyed for Numbers {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

/// The end of a key that changes with what is asked.
pub(crate) fn content_hash(of: &impl Serialize) -> String {
    let text = serde_json::to_string(of).unwrap_or_default();
    sha256_hex(text.as_bytes())[..12].to_owned()
}

/// Asks for numbers: for each index given, one list or the reason why there is none.
pub(crate) type Ask<'a> = dyn Fn(&[usize]) -> Vec<Result<Vec<f64>, ChatError>> + 'a;

/// The numbers of each key, `None` where `ask` failed; from `file` where they are there. Rounded to
/// 1e-4, in memory as on disk.
pub(crate) fn numbers(
    run: &SuiteRun<'_>,
    file: &str,
    stage: &str,
    keys: &[String],
    ask: &Ask<'_>,
) -> Result<Vec<Option<Vec<f64>>>, EvalError> {
    std::fs::create_dir_all(run.dir)
        .map_err(|error| ingrain_run::RunError::io(run.dir, "create", error))?;
    let mut store = JsonlStore::<Numbers>::open(run.dir.join(file))?;
    let open: Vec<usize> = (0..keys.len()).filter(|&i| !store.contains(&keys[i])).collect();
    let (total, unit) = (Some(keys.len() as u64), "scores".to_owned());
    run.observer.on_event(&Event::StageStarted { stage: stage.to_owned(), total, unit });
    let mut done = (keys.len() - open.len()) as u64;
    let mut failures = 0;
    for batch in open.chunks(run.batch_size.max(1)) {
        if run.interrupt.is_requested() {
            return Err(EvalError::Interrupted);
        }
        for (&index, found) in batch.iter().zip(ask(batch)) {
            match found {
                Ok(values) => {
                    failures = 0;
                    done += 1;
                    let values = values.iter().map(|v| (v * SCALE).round() / SCALE).collect();
                    store.append(&Numbers { key: keys[index].clone(), values })?;
                }
                Err(ChatError::Interrupted) => return Err(EvalError::Interrupted),
                Err(source) => {
                    failures += 1;
                    if failures >= GIVE_UP_AFTER {
                        return Err(EvalError::Score { what: stage.to_owned(), source });
                    }
                }
            }
        }
        run.observer.on_event(&Event::Progress { stage: stage.to_owned(), done, tokens: 0 });
    }
    store.sync()?;
    keys.iter().map(|key| Ok(store.get(key)?.map(|found| found.values))).collect()
}
