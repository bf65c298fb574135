//! Whole JSONL files: read what others wrote, write in one step. Growing ones are
//! [`crate::JsonlStore`]'s.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{RunError, write_atomic_with};

/// Reads a whole JSONL file that somebody else wrote; blank lines are skipped.
///
/// # Errors
/// [`RunError::Io`], or [`RunError::Corrupt`] naming file and line.
pub fn read_jsonl<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Vec<T>, RunError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| RunError::io(path, "read", e))?;
    let mut records = Vec::new();
    for (i, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(|e| RunError::io(path, "read", e))?;
        let text = line.trim_ascii();
        if !text.is_empty() {
            records.push(parse(path, i + 1, text)?);
        }
    }
    Ok(records)
}

/// Hands the records of a JSONL file on, one at a time, without touching the file; a last line that
/// was torn by a kill is passed over. Returns the bytes of that line, 0 if the file is whole.
///
/// # Errors
/// [`RunError::Io`], or [`RunError::Corrupt`] naming file and line.
pub fn scan_jsonl<T: DeserializeOwned>(
    path: impl AsRef<Path>,
    mut take: impl FnMut(T),
) -> Result<u64, RunError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| RunError::io(path, "read", e))?;
    let mut input = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        input.read_until(b'\n', &mut line).map_err(|e| RunError::io(path, "read", e))?;
        let text = line.trim_ascii();
        let is_last = line.last() != Some(&b'\n');
        if !text.is_empty() {
            match parse(path, number, text) {
                Ok(record) => take(record),
                Err(_) if is_last => return Ok(line.len() as u64),
                Err(error) => return Err(error),
            }
        }
        if is_last {
            break;
        }
    }
    Ok(0)
}

/// Replaces `path` by a JSONL file with these records, in one step.
///
/// # Errors
/// As [`crate::write_atomic`], and [`RunError::Unserializable`].
pub fn write_jsonl<'a, T: Serialize + 'a>(
    path: impl AsRef<Path>,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<(), RunError> {
    let path = path.as_ref();
    let mut refused = None;
    let written = write_atomic_with(path, |out| {
        for record in records {
            match to_line(path, record) {
                Ok(line) => out.write_all(&line)?,
                Err(error) => {
                    refused = Some(error);
                    return Err(std::io::Error::other("unserializable"));
                }
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    });
    refused.map_or(written, Err)
}

/// The line of a record, without its newline.
pub(crate) fn to_line<T: Serialize>(path: &Path, record: &T) -> Result<Vec<u8>, RunError> {
    serde_json::to_vec(record)
        .map_err(|e| RunError::Unserializable { path: path.to_path_buf(), reason: e.to_string() })
}

/// The record of a line.
pub(crate) fn parse<T: DeserializeOwned>(
    path: &Path,
    line: usize,
    text: &[u8],
) -> Result<T, RunError> {
    serde_json::from_slice(text).map_err(|e| RunError::Corrupt {
        path: path.to_path_buf(),
        line,
        reason: reason(&e),
    })
}

/// serde_json counts lines of its own input, which is one line here: only the column is news.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("column {}: {what}", error.column()),
        None => text,
    }
}
