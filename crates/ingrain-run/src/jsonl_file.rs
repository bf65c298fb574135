//! Whole JSONL files: read what others wrote, write in one step. Growing ones are
//! [`crate::JsonlStore`]'s.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
    write_jsonl_with(path, |put| records.into_iter().try_for_each(put))
}

/// Like [`write_jsonl`], for records that are made one at a time: `make` hands each to the function that it
/// is given. If it fails, the old file stays.
///
/// # Errors
/// Whatever `make` returns, or as [`write_jsonl`].
///
/// # Examples
/// ```
/// use ingrain_run::{RunError, read_jsonl, write_jsonl_with};
///
/// # let dir = tempfile::tempdir().map_err(|e| RunError::io("tmp", "create", e))?;
/// let path = dir.path().join("squares.jsonl");
/// write_jsonl_with(&path, |put| (1..=3).try_for_each(|n| put(&(n * n))))?;
/// assert_eq!(read_jsonl::<u32>(&path)?, [1, 4, 9]);
/// # Ok::<(), RunError>(())
/// ```
pub fn write_jsonl_with<T: Serialize, E: From<RunError>>(
    path: impl AsRef<Path>,
    make: impl FnOnce(&mut dyn FnMut(&T) -> Result<(), RunError>) -> Result<(), E>,
) -> Result<(), E> {
    let path = path.as_ref();
    let mut made = Ok(());
    let written = write_atomic_with(path, |out| {
        let mut put = |record: &T| {
            let mut line = to_line(path, record)?;
            line.push(b'\n');
            out.write_all(&line).map_err(|e| RunError::io(path, "write", e))
        };
        made = make(&mut put);
        made.as_ref().map_err(|_| std::io::Error::other("a record failed")).copied()
    });
    // Of two failures, that of `make` explains more.
    made?;
    Ok(written?)
}

/// A whole JSONL file whose records are read one at a time, in any order. Memory holds where each line
/// begins, eight bytes, and no record.
#[derive(Debug)]
pub struct JsonlFile<T> {
    path: PathBuf,
    file: Mutex<File>,
    begins: Vec<u64>,
    record: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> JsonlFile<T> {
    /// Finds the lines of a file; blank ones are skipped. What they hold is looked at when it is read.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        let open = || File::open(&path).map_err(|e| RunError::io(&path, "read", e));
        let mut input = BufReader::with_capacity(1 << 16, open()?);
        let (mut begins, mut at, mut line) = (Vec::new(), 0, Vec::new());
        loop {
            line.clear();
            let bytes = input.read_until(b'\n', &mut line);
            let bytes = bytes.map_err(|e| RunError::io(&path, "read", e))?;
            if bytes == 0 {
                break;
            }
            if !line.trim_ascii().is_empty() {
                begins.push(at);
            }
            at += bytes as u64;
        }
        let file = Mutex::new(open()?);
        Ok(Self { path, file, begins, record: PhantomData })
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.begins.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begins.is_empty()
    }

    /// Record `index`, counted from 0.
    ///
    /// # Errors
    /// [`RunError::Corrupt`] naming file and line, or [`RunError::Io`].
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, index: usize) -> Result<T, RunError> {
        let at = self.begins[index];
        let line = line_at(&self.path, &self.file, at)?;
        parse_at(&self.path, at, &line)
    }

    /// All records in file order, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = Result<T, RunError>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// The line that begins at byte `at`.
pub(crate) fn line_at(path: &Path, file: &Mutex<File>, at: u64) -> Result<Vec<u8>, RunError> {
    let mut line = Vec::new();
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))
        .and_then(|_| BufReader::with_capacity(4096, &mut *file).read_until(b'\n', &mut line))
        .map_err(|e| RunError::io(path, "read", e))?;
    Ok(line)
}

/// The record of the line that begins at byte `at`. Lines are counted only for the error.
pub(crate) fn parse_at<T: DeserializeOwned>(
    path: &Path,
    at: u64,
    line: &[u8],
) -> Result<T, RunError> {
    parse(path, 0, line.trim_ascii()).map_err(|error| match error {
        RunError::Corrupt { path, reason, .. } => {
            let line = line_number(&path, at);
            RunError::Corrupt { path, line, reason }
        }
        other => other,
    })
}

/// Counted from 1; 0 if the file can no longer be read.
fn line_number(path: &Path, at: u64) -> usize {
    let Ok(file) = File::open(path) else { return 0 };
    let before = BufReader::new(file.take(at)).split(b'\n').take_while(Result::is_ok).count();
    before + 1
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
