//! An append-only file of records, one JSON object a line, that survives a kill at any byte.
//!
//! A record counts once its line, newline included, is in the file. A process that dies while
//! writing leaves a line without an end; the next [`JsonlStore::open`] cuts it off. Anything else
//! that does not parse was damaged by somebody, and is an error that names file and line.
//!
//! Memory holds a hash of each key and its position, never records: 16 bytes, in a table that is half to
//! seven eighths full, so a file may be much larger than memory. The store knows nothing of what its records
//! mean, and does not guard against a second process ([`crate::RunDir`] does).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::RunError;
use crate::hash::{KeyHash, short_hash};
use crate::jsonl_file::{line_at, parse, parse_at, to_line};

/// A record that knows under which key it is found again.
pub trait Keyed {
    /// The key: unique within a file, the same whenever the same work is done again.
    fn key(&self) -> Cow<'_, str>;
}

/// Append-only JSONL keyed by a string. See the module's notes on what survives a kill.
///
/// Of several records with one key the first counts; [`append`](Self::append) writes no second one.
///
/// # Examples
/// ```
/// use std::borrow::Cow;
/// use ingrain_run::{JsonlStore, Keyed};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Reply { id: String, text: String }
/// impl Keyed for Reply {
///     fn key(&self) -> Cow<'_, str> { Cow::Borrowed(&self.id) }
/// }
///
/// # let dir = tempfile::tempdir().map_err(|e| ingrain_run::RunError::io("tmp", "create", e))?;
/// # let path = dir.path().join("student.jsonl");
/// let mut store = JsonlStore::open(&path)?;
/// assert!(store.append(&Reply { id: "q1".into(), text: "Sure.".into() })?);
/// assert!(!store.append(&Reply { id: "q1".into(), text: "Again.".into() })?);
/// drop(store); // or a kill
///
/// let store = JsonlStore::<Reply>::open(&path)?;
/// assert!(store.contains("q1"));
/// assert_eq!(store.get("q1")?.map(|r| r.text).as_deref(), Some("Sure."));
/// # Ok::<(), ingrain_run::RunError>(())
/// ```
#[derive(Debug)]
pub struct JsonlStore<T> {
    path: PathBuf,
    appender: File,
    reader: Mutex<File>,
    /// Bytes of whole lines.
    end: u64,
    /// Where the line of each key begins.
    index: HashMap<KeyHash, Offset>,
    cut_bytes: u64,
    record: PhantomData<fn() -> T>,
}

/// A place in the file, in 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offset([u8; 6]);

impl From<u64> for Offset {
    fn from(at: u64) -> Self {
        let [a, b, c, d, e, f, ..] = at.to_le_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl From<Offset> for u64 {
    fn from(Offset([a, b, c, d, e, f]): Offset) -> Self {
        Self::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

impl<T: Keyed + Serialize + DeserializeOwned> JsonlStore<T> {
    /// Opens or creates the file, checks every line and cuts off a last one that was torn.
    ///
    /// # Errors
    /// [`RunError::Corrupt`] with file and line for a whole line that is no record; otherwise
    /// [`RunError::Io`] or [`RunError::DiskFull`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        let appender = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| RunError::io(&path, "open", e))?;
        let reader = File::open(&path).map_err(|e| RunError::io(&path, "read", e))?;
        let mut store = Self {
            path,
            appender,
            reader: Mutex::new(reader),
            end: 0,
            index: HashMap::new(),
            cut_bytes: 0,
            record: PhantomData,
        };
        store.scan()?;
        Ok(store)
    }

    /// Writes one record down; `false` (and no write) if its key is there already.
    ///
    /// When this returns, the line is with the operating system: a kill of this process cannot lose
    /// it. See [`sync`](Self::sync) for power failures.
    ///
    /// # Errors
    /// [`RunError::DiskFull`], [`RunError::Io`] or [`RunError::Unserializable`]; the file then ends
    /// where it did before.
    pub fn append(&mut self, record: &T) -> Result<bool, RunError> {
        let key = short_hash(&record.key());
        if self.index.contains_key(&key) {
            return Ok(false);
        }
        let mut line = to_line(&self.path, record)?;
        line.push(b'\n');
        if let Err(source) = self.appender.write_all(&line) {
            // A partial line in the middle would be corruption later on: take it back.
            let _ = self.appender.set_len(self.end);
            return Err(RunError::io(&self.path, "write", source));
        }
        self.index.insert(key, self.end.into());
        self.end += line.len() as u64;
        Ok(true)
    }

    /// Forces everything written so far onto the disk itself; call it when a stage ends.
    ///
    /// # Errors
    /// [`RunError::DiskFull`] or [`RunError::Io`].
    pub fn sync(&self) -> Result<(), RunError> {
        self.appender.sync_data().map_err(|e| RunError::io(&self.path, "write", e))
    }

    /// The first record with this key, read from the file.
    ///
    /// # Errors
    /// [`RunError::Io`], or [`RunError::Corrupt`] if the file changed since it was opened.
    pub fn get(&self, key: &str) -> Result<Option<T>, RunError> {
        self.index.get(&short_hash(key)).map(|&at| self.read(at.into())).transpose()
    }

    /// All records in file order, duplicates left out, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = Result<T, RunError>> + '_ {
        let mut walk = Walk { store: self, input: None, at: 0 };
        std::iter::from_fn(move || walk.step().transpose())
    }

    /// Whether a record with this key is in the file.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.index.contains_key(&short_hash(key))
    }

    /// Number of records, duplicates left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of a torn last line that [`open`](Self::open) cut off; 0 if the file was whole.
    #[must_use]
    pub fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    fn scan(&mut self) -> Result<(), RunError> {
        let file = File::open(&self.path).map_err(|e| RunError::io(&self.path, "read", e))?;
        let mut input = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let n = input
                .read_until(b'\n', &mut line)
                .map_err(|e| RunError::io(&self.path, "read", e))?;
            if n == 0 {
                break;
            }
            let whole = line.last() == Some(&b'\n');
            if !whole {
                self.end_torn_line(&line, number)?;
                break;
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                let record: T = parse(&self.path, number, text)?;
                self.note(&record);
            }
            self.end += n as u64;
        }
        Ok(())
    }

    /// A last line without newline. An object that parses lacks nothing else (no proper prefix of
    /// an object is one) and gets its newline; everything else was torn and goes.
    fn end_torn_line(&mut self, line: &[u8], number: usize) -> Result<(), RunError> {
        let record = serde_json::from_slice::<T>(line).ok().filter(|_| line.starts_with(b"{"));
        if let Some(record) = record {
            self.appender.write_all(b"\n").map_err(|e| RunError::io(&self.path, "write", e))?;
            self.note(&record);
            self.end += line.len() as u64 + 1;
        } else {
            self.appender
                .set_len(self.end)
                .map_err(|e| RunError::io(&self.path, "cut a torn line off", e))?;
            self.cut_bytes = line.len() as u64;
            tracing::warn!(path = %self.path.display(), line = number, bytes = line.len(),
                "cut off a last line that was torn by a kill");
        }
        Ok(())
    }

    /// The record of the line that begins at the end; the first of its key counts.
    fn note(&mut self, record: &T) {
        self.index.entry(short_hash(&record.key())).or_insert(self.end.into());
    }

    fn read(&self, at: u64) -> Result<T, RunError> {
        parse_at(&self.path, at, &line_at(&self.path, &self.reader, at)?)
    }
}

/// Goes over a store's file once, in order.
struct Walk<'a, T> {
    store: &'a JsonlStore<T>,
    input: Option<BufReader<File>>,
    at: u64,
}

impl<T: Keyed + Serialize + DeserializeOwned> Walk<'_, T> {
    fn step(&mut self) -> Result<Option<T>, RunError> {
        let path = &self.store.path;
        let failed = |e| RunError::io(path, "read", e);
        let mut line = Vec::new();
        while self.at < self.store.end {
            let input = match &mut self.input {
                Some(input) => input,
                none => none.insert(BufReader::new(File::open(path).map_err(failed)?)),
            };
            line.clear();
            let at = self.at;
            let bytes = input.read_until(b'\n', &mut line).map_err(failed)?;
            if bytes == 0 {
                // Cut short by somebody else since it was opened.
                break;
            }
            self.at += bytes as u64;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let record: T = parse_at(path, at, &line)?;
            let counts = self.store.index.get(&short_hash(&record.key()));
            if counts == Some(&at.into()) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_costs_sixteen_bytes_and_a_position_survives_the_packing() {
        assert_eq!(size_of::<(KeyHash, Offset)>(), 16);
        for at in [0, 1, 255, 256, 1 << 40, (1 << 48) - 1] {
            assert_eq!(u64::from(Offset::from(at)), at);
        }
    }
}
