//! Looking into the journal of [`Cached`](crate::Cached), and making it smaller.
//!
//! Looking never changes the file, so a running process may be looked at.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use ingrain_run::{RunError, scan_jsonl, write_atomic_with};
use serde::{Deserialize, Serialize};

use crate::cached::lock;
use crate::{CachedReply, FinishReason};

/// What a journal holds, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStats {
    /// Size of the file.
    pub bytes: u64,
    /// Lines that repeat an earlier key; they do not count.
    pub repeated: u64,
    /// Bytes of a last line that was torn by a kill.
    pub torn_bytes: u64,
    /// By name of the model.
    pub models: BTreeMap<String, ModelStats>,
}

/// The replies of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStats {
    /// Replies.
    pub replies: u64,
    /// Replies that the token limit cut off.
    pub cut_off: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of replies.
    pub completion_tokens: u64,
}

/// Which entries to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalQuery {
    /// The key begins with this.
    pub key: String,
    /// The model's name holds this.
    pub model: String,
    /// Question or reply hold this, in any case.
    pub text: String,
    /// At most so many; 0 is no limit.
    pub limit: usize,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Entries kept.
    pub kept: u64,
    /// Entries left out.
    pub dropped: u64,
    /// Size before.
    pub bytes_before: u64,
    /// Size after.
    pub bytes_after: u64,
}

impl JournalStats {
    /// Reads a journal from beginning to end.
    ///
    /// # Errors
    /// [`RunError::Io`], or [`RunError::Corrupt`] naming the line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, RunError> {
        let path = path.as_ref();
        let mut stats = Self { bytes: size(path)?, ..Self::default() };
        let mut seen = HashSet::new();
        stats.torn_bytes = scan_jsonl(path, |entry: CachedReply| {
            if !seen.insert(entry.key) {
                stats.repeated += 1;
                return;
            }
            let model = stats.models.entry(entry.model).or_default();
            model.replies += 1;
            model.cut_off += u64::from(entry.reply.finish == FinishReason::Length);
            model.prompt_tokens += entry.reply.prompt_tokens as u64;
            model.completion_tokens += entry.reply.completion_tokens as u64;
        })?;
        Ok(stats)
    }
}

/// A table, one line a model.
impl fmt::Display for JournalStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>9} {:>8} {:>13} {:>13}  model",
            "replies", "cut off", "prompt tokens", "reply tokens"
        )?;
        for (name, m) in &self.models {
            let (replies, cut) = (m.replies, m.cut_off);
            writeln!(
                f,
                "{replies:>9} {cut:>8} {:>13} {:>13}  {name}",
                m.prompt_tokens, m.completion_tokens
            )?;
        }
        write!(
            f,
            "{} bytes, {} repeated lines, {} torn bytes",
            self.bytes, self.repeated, self.torn_bytes
        )
    }
}

impl JournalQuery {
    fn fits(&self, entry: &CachedReply) -> bool {
        let text = self.text.to_lowercase();
        let says = |t: &str| text.is_empty() || t.to_lowercase().contains(&text);
        entry.key.starts_with(&self.key)
            && entry.model.contains(&self.model)
            && (says(&entry.asked) || says(&entry.reply.text))
    }
}

/// The entries that fit, in file order.
///
/// # Errors
/// As [`JournalStats::read`].
pub fn show(path: impl AsRef<Path>, query: &JournalQuery) -> Result<Vec<CachedReply>, RunError> {
    let limit = if query.limit == 0 { usize::MAX } else { query.limit };
    let mut found = Vec::new();
    scan_jsonl(path, |entry: CachedReply| {
        if found.len() < limit && query.fits(&entry) {
            found.push(entry);
        }
    })?;
    Ok(found)
}

/// Rewrites a journal with the entries that `keep` accepts, each key once, in one step. What is
/// dropped will be asked, and paid for, again.
///
/// # Errors
/// As [`JournalStats::read`], and [`RunError::Locked`] if a process works with the journal.
pub fn compact(
    path: impl AsRef<Path>,
    keep: impl Fn(&CachedReply) -> bool,
) -> Result<Compacted, RunError> {
    let path = path.as_ref();
    let _lock = lock(path)?;
    let mut report = Compacted { bytes_before: size(path)?, ..Compacted::default() };
    let mut seen = HashSet::new();
    let mut failed = None;
    write_atomic_with(path, |out| {
        let mut written = Ok(());
        let scanned = scan_jsonl(path, |entry: CachedReply| {
            if !keep(&entry) || !seen.insert(entry.key.clone()) {
                report.dropped += 1;
                return;
            }
            report.kept += 1;
            if written.is_ok() {
                let line = serde_json::to_vec(&entry).map_err(std::io::Error::other);
                written = line.and_then(|line| out.write_all(&[&line[..], b"\n"].concat()));
            }
        });
        failed = scanned.err();
        if failed.is_some() { Err(std::io::Error::other("unreadable")) } else { written }
    })
    .map_err(|error| failed.unwrap_or(error))?;
    report.bytes_after = size(path)?;
    Ok(report)
}

fn size(path: &Path) -> Result<u64, RunError> {
    Ok(std::fs::metadata(path).map_err(|e| RunError::io(path, "read", e))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cached, ChatModel, ChatRequest, Message, Sampling, Scripted};

    /// Three questions to model a, one to model b, then a repeated and a torn line.
    fn journal(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("cache.jsonl");
        let model = Scripted::from_fn(|r| format!("Re: {}", r.messages[0].content));
        for (name, questions) in [("a", &["One?", "Two?", "Three?"][..]), ("b", &["One?"])] {
            let cached = Cached::open(&model, name, &path).unwrap();
            for text in questions {
                let request = ChatRequest::new(vec![Message::user(*text)], Sampling::default());
                cached.complete_one(&request).unwrap();
            }
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        std::fs::write(&path, format!("{text}{first}\n{{\"key\":\"to")).unwrap();
        path
    }

    #[test]
    fn stats_count_each_key_once_and_name_what_is_odd() {
        let dir = tempfile::tempdir().unwrap();
        let stats = JournalStats::read(journal(dir.path())).unwrap();
        assert_eq!((stats.models["a"].replies, stats.models["b"].replies), (3, 1));
        assert_eq!((stats.models["a"].prompt_tokens, stats.models["a"].completion_tokens), (3, 6));
        assert_eq!((stats.repeated, stats.torn_bytes), (1, 10));
        let table = stats.to_string();
        assert!(table.contains("        3        0             3             6  a\n"), "{table}");
    }

    #[test]
    fn entries_are_found_by_key_model_and_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = journal(dir.path());
        let count = |query: JournalQuery| show(&path, &query).unwrap().len();
        let query = JournalQuery::default;
        assert_eq!(count(query()), 5);
        assert_eq!(count(JournalQuery { text: "re: TWO".into(), ..query() }), 1);
        assert_eq!(count(JournalQuery { model: "b".into(), ..query() }), 1);
        assert_eq!(count(JournalQuery { limit: 2, ..query() }), 2);
        let key = show(&path, &query()).unwrap()[1].key[..8].to_owned();
        assert_eq!(count(JournalQuery { key, ..query() }), 1);
    }

    #[test]
    fn compaction_keeps_what_it_is_told_once_and_the_rest_is_served_as_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = journal(dir.path());
        let report = compact(&path, |entry| entry.model == "a").unwrap();
        assert_eq!((report.kept, report.dropped), (3, 2));
        assert!(report.bytes_after < report.bytes_before);
        let silent = Scripted::replies(Vec::<String>::new());
        let cached = Cached::open(&silent, "a", &path).unwrap();
        let request = ChatRequest::new(vec![Message::user("Two?")], Sampling::default());
        assert_eq!(cached.complete_one(&request).unwrap().text, "Re: Two?");
        assert!(matches!(compact(&path, |_| true), Err(RunError::Locked { .. })));
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        std::fs::write(&path, "junk\n").unwrap();
        assert!(matches!(compact(&path, |_| true), Err(RunError::Corrupt { line: 1, .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "junk\n");
    }
}
