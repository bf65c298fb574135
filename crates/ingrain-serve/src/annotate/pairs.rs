//! The pairs of a run directory.

use std::path::Path;

use ingrain_data::PreferencePair;
use ingrain_judge::{Case, Task};
use ingrain_run::{read_jsonl, sha256_hex};

use crate::ServeError;

/// What the coherence suite compared, or else the preference pairs of the run.
pub(super) fn pairs_of(dir: &Path) -> Result<Vec<Case>, ServeError> {
    let compared = dir.join("eval/coherence/cases.jsonl");
    let trained = dir.join("pairs.jsonl");
    let cases: Vec<Case> = if compared.exists() {
        let all: Vec<Case> = read_jsonl(&compared)?;
        all.into_iter().filter(|case| matches!(case.task, Task::Compare { .. })).collect()
    } else if trained.exists() {
        let pairs: Vec<PreferencePair> = read_jsonl(&trained)?;
        pairs.iter().filter_map(case_of).collect()
    } else {
        Vec::new()
    };
    if cases.is_empty() {
        return Err(ServeError::NothingToAnnotate { dir: dir.to_path_buf() });
    }
    Ok(cases)
}

/// Chosen first, rejected second; keyed by content, so that labels outlive a changed file.
fn case_of(pair: &PreferencePair) -> Option<Case> {
    let message = pair.prompt.last()?.content.clone();
    let first = pair.chosen.last()?.content.clone();
    let second = pair.rejected.last()?.content.clone();
    let texts = serde_json::to_string(&[&message, &first, &second]).ok()?;
    let key = sha256_hex(texts.as_bytes())[..16].to_owned();
    Some(Case { key, message, task: Task::Compare { first, second } })
}
