//! What can go wrong with the files of a run.

use std::io;
use std::path::{Path, PathBuf};

/// An error about a file or stage of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The operating system refused.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What was tried: `read`, `write`, `create`, ...
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The disk (or the user's quota on it) is full.
    #[error(
        "{}: no space left on the disk; free some or choose another directory, then start again \
         (finished work is kept)",
        path.display()
    )]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line of a JSONL file that is not a record.
    #[error("{}:{line}: not a valid record ({reason}); repair or delete this line", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A JSON file that cannot be read as what it should be.
    #[error("{}: not a valid {what} ({reason}); repair or delete the file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be: `manifest`, `summary`, ...
        what: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A value that JSON cannot hold.
    #[error("{}: cannot be written as JSON ({reason})", path.display())]
    Unserializable {
        /// The file it was meant for.
        path: PathBuf,
        /// What the serializer said.
        reason: String,
    },
    /// Another process works in the run directory.
    #[error(
        "{}: in use by {}; wait for it, stop it, or choose another directory",
        path.display(),
        pid.map_or_else(|| "another process".to_owned(), |p| format!("process {p}"))
    )]
    Locked {
        /// The run directory.
        path: PathBuf,
        /// The process that holds it, where its lock file says so.
        pid: Option<u32>,
    },
    /// A stage was begun before one that it stands on was done.
    #[error("stage {stage} needs stage {needs}, which is not done; run {needs} first")]
    StageOrder {
        /// The stage that was begun.
        stage: String,
        /// The one that is missing.
        needs: String,
    },
    /// A stage ended without a file that it had promised.
    #[error("stage {stage} ended without writing {}", path.display())]
    MissingOutput {
        /// The stage.
        stage: String,
        /// The promised file.
        path: PathBuf,
    },
}

impl RunError {
    /// Wraps an I/O error with its place; a full disk gets its own variant.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Error, ErrorKind};
    /// use ingrain_run::RunError;
    ///
    /// let full = RunError::io("runs/a/x.jsonl", "write", Error::from(ErrorKind::StorageFull));
    /// assert!(full.to_string().starts_with("runs/a/x.jsonl: no space left on the disk; free some"));
    /// let gone = RunError::io("x.jsonl", "read", Error::from(ErrorKind::NotFound));
    /// assert_eq!(gone.to_string(), "x.jsonl: cannot read");
    /// ```
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::Io { path, action, source },
        }
    }
}
