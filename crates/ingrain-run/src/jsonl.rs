//! An append-only file of records, one JSON object a line, that survives a kill at any byte.
//!
//! A record counts once its line, newline included, is in the file. A process that dies while
//! writing leaves a line without an end; the next [`JsonlStore::open`] cuts it off. Anything else
//! that does not parse was damaged by somebody, and is an error that names file and line.
//!
//! Memory holds hashes of keys and positions, never records: some 70 bytes each, so a file may be
//! much larger than memory. The store
//! knows nothing of what its records mean, and does not guard against a second process
//! ([`crate::RunDir`] does).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::RunError;
use crate::hash::short_hash;
use crate::jsonl_file::{parse, to_line};

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
    /// First record of each key, in file order.
    lines: Vec<Line>,
    index: HashMap<[u8; 16], usize>,
    cut_bytes: u64,
    record: PhantomData<fn() -> T>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    offset: u64,
    len: usize,
    number: usize,
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
            lines: Vec::new(),
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
        let number = self.lines.last().map_or(1, |l| l.number + 1);
        self.note(key, Line { offset: self.end, len: line.len() - 1, number });
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
        self.index.get(&short_hash(key)).map(|&at| self.read(self.lines[at])).transpose()
    }

    /// All records in file order, duplicates left out, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = Result<T, RunError>> + '_ {
        self.lines.iter().map(|&line| self.read(line))
    }

    /// Whether a record with this key is in the file.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.index.contains_key(&short_hash(key))
    }

    /// Number of records, duplicates left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
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
                self.note(
                    short_hash(&record.key()),
                    Line { offset: self.end, len: line.len() - 1, number },
                );
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
            self.note(
                short_hash(&record.key()),
                Line { offset: self.end, len: line.len(), number },
            );
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

    fn note(&mut self, key: [u8; 16], line: Line) {
        if let std::collections::hash_map::Entry::Vacant(slot) = self.index.entry(key) {
            slot.insert(self.lines.len());
            self.lines.push(line);
        }
    }

    fn read(&self, line: Line) -> Result<T, RunError> {
        let mut bytes = vec![0_u8; line.len];
        let mut file = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(line.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| RunError::io(&self.path, "read", e))?;
        drop(file);
        parse(&self.path, line.number, bytes.trim_ascii())
    }
}
