//! A folder to a hub: what would be sent, and the sending.
//!
//! Small text travels inside the commit; what the hub asks for as a large file is put where the hub says
//! first. The commit comes last, so that a repository never holds half of an upload.

mod answers;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ingrain_run::{Event, Observer, base64, sha256_file};
use serde::Serialize;
use serde_json::{Value, json};

use answers::{Committed, Mode, Modes, Objects, parse};

use super::HubId;
use super::client::{Client, Fault, encode};
use crate::LmError;

/// Larger files go up in several parts, which this client cannot.
const MAX_SINGLE: u64 = 5 << 30;

/// What a repository on a hub holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepoKind {
    /// A model or an adapter.
    Model,
    /// A dataset.
    Dataset,
}

impl RepoKind {
    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        }
    }

    /// Before the repository's name in addresses that are not the API's.
    fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }
}

/// A folder and the repository that it goes to.
///
/// # Examples
/// ```
/// use ingrain_lm::{RepoKind, Upload};
///
/// # let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("README.md"), "# A card")?;
/// std::fs::write(dir.path().join(".lock"), "")?;
/// let upload = Upload::new(dir.path(), "org/name".parse()?, RepoKind::Model)?;
/// let paths: Vec<&str> = upload.files().iter().map(|file| file.path.as_str()).collect();
/// assert_eq!(paths, ["README.md"], "hidden files stay");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Upload {
    folder: PathBuf,
    to: HubId,
    kind: RepoKind,
    files: Vec<UploadFile>,
    /// Whether a repository that has to be made is private. Default true.
    pub private: bool,
    /// First line of the commit.
    pub message: String,
}

/// One file of an [`Upload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UploadFile {
    /// Where it goes in the repository.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: String,
    #[serde(skip)]
    here: PathBuf,
}

impl Upload {
    /// Looks through a folder. Hidden files and folders, `checkpoints/` and `stale/` stay behind.
    ///
    /// # Errors
    /// [`LmError::Io`] if it cannot be read; [`LmError::File`] if nothing is in it.
    pub fn new(folder: &Path, to: HubId, kind: RepoKind) -> Result<Self, LmError> {
        let mut files = Vec::new();
        collect(folder, to.path().unwrap_or(""), &mut files)?;
        if files.is_empty() {
            return Err(LmError::file(folder, "holds nothing to upload"));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let message = message(&files);
        Ok(Self { folder: folder.to_owned(), to, kind, files, private: true, message })
    }

    /// What would be sent.
    #[must_use]
    pub fn files(&self) -> &[UploadFile] {
        &self.files
    }

    /// Leaves behind what `keep` refuses, by its path in the repository.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.files.retain(|file| keep(&file.path));
        self.message = message(&self.files);
    }

    /// Makes the repository where there is none, and adds the files to its branch in one commit. Returns
    /// the address of the commit.
    ///
    /// `HF_ENDPOINT` and `HF_TOKEN` say which hub and who asks.
    ///
    /// # Errors
    /// [`LmError::Upload`] naming what was refused; [`LmError::Io`] for a file that cannot be read.
    pub fn send(&self, observer: &dyn Observer) -> Result<String, LmError> {
        let client = Client::from_env();
        let result = if client.has_token() {
            self.send_by(&client, observer)
        } else {
            Err(Fault::Final("set HF_TOKEN to a token that may write".into()))
        };
        result.map_err(|fault| match fault {
            Fault::Local(error) => error,
            Fault::Final(reason) | Fault::Passing(reason) | Fault::Unreachable(reason) => {
                LmError::Upload {
                    what: self.folder.display().to_string(),
                    to: self.to.to_string(),
                    reason,
                }
            }
        })
    }

    fn send_by(&self, client: &Client, observer: &dyn Observer) -> Result<String, Fault> {
        let stage = format!("push/{}", self.to);
        let bytes = self.files.iter().map(|file| file.bytes).sum();
        let unit = "bytes".to_owned();
        observer.on_event(&Event::StageStarted { stage: stage.clone(), total: Some(bytes), unit });
        self.create(client)?;
        let modes = self.modes(client)?;
        let large: Vec<&UploadFile> = self
            .files
            .iter()
            .zip(&modes)
            .filter(|(_, mode)| mode.is_large())
            .map(|(f, _)| f)
            .collect();
        self.put_large(client, &large)?;
        let commit = self.commit(client, &modes)?;
        observer.on_event(&Event::Progress { stage, done: bytes, tokens: 0 });
        Ok(commit)
    }

    fn api(&self, verb: &str) -> String {
        let revision = encode(self.to.revision().unwrap_or("main"), false);
        format!("/api/{}s/{}/{verb}/{revision}", self.kind.name(), self.to.repo())
    }

    fn create(&self, client: &Client) -> Result<(), Fault> {
        let (organization, name) = self.to.repo().split_once('/').unwrap_or(("", self.to.repo()));
        let body = json!({
            "type": self.kind.name(), "organization": organization, "name": name,
            "private": self.private,
        });
        // It may be there already.
        client.post("/api/repos/create", "application/json", &body.to_string(), &[409]).map(drop)
    }

    /// How the hub wants each file.
    fn modes(&self, client: &Client) -> Result<Vec<Mode>, Fault> {
        let file = |file: &UploadFile| -> Result<Value, Fault> {
            let mut sample = vec![0; 512];
            let mut read = file.open()?.take(512);
            let mut filled = 0;
            loop {
                let n = read.read(&mut sample[filled..]).map_err(|e| file.unreadable(e))?;
                if n == 0 {
                    break;
                }
                filled += n;
            }
            Ok(json!({"path": file.path, "size": file.bytes, "sample": base64(&sample[..filled])}))
        };
        let files = self.files.iter().map(file).collect::<Result<Vec<_>, _>>()?;
        let body = json!({"files": files}).to_string();
        let text = client.post(&self.api("preupload"), "application/json", &body, &[])?;
        let answer: Modes = parse(&text)?;
        let mode = |file: &UploadFile| {
            let found = answer.files.iter().find(|mode| mode.path == file.path).cloned();
            found.ok_or_else(|| Fault::Final(format!("the hub says nothing of {}", file.path)))
        };
        self.files.iter().map(mode).collect()
    }

    fn put_large(&self, client: &Client, files: &[&UploadFile]) -> Result<(), Fault> {
        if files.is_empty() {
            return Ok(());
        }
        let objects: Vec<Value> =
            files.iter().map(|file| json!({"oid": file.sha256, "size": file.bytes})).collect();
        let body = json!({
            "operation": "upload", "transfers": ["basic"], "hash_algo": "sha256",
            "objects": objects,
        });
        let url = format!("/{}{}.git/info/lfs/objects/batch", self.kind.prefix(), self.to.repo());
        let text = client.post(&url, "application/vnd.git-lfs+json", &body.to_string(), &[])?;
        let answer: Objects = parse(&text)?;
        for file in files {
            let object = answer.objects.iter().find(|object| object.oid == file.sha256);
            let object = object
                .ok_or_else(|| Fault::Final(format!("the hub has no place for {}", file.path)))?;
            // Without actions, the hub has it already.
            let Some(actions) = &object.actions else { continue };
            if file.bytes > MAX_SINGLE {
                return Err(Fault::Final(format!(
                    "{} is larger than 5 GiB; send it with the hub's own program",
                    file.path
                )));
            }
            client.put(&actions.upload.href, &actions.upload.header, file.open()?, file.bytes)?;
            if let Some(verify) = &actions.verify {
                let body = json!({"oid": file.sha256, "size": file.bytes}).to_string();
                client.post(&verify.href, "application/vnd.git-lfs+json", &body, &[])?;
            }
        }
        Ok(())
    }

    fn commit(&self, client: &Client, modes: &[Mode]) -> Result<String, Fault> {
        let header =
            json!({"key": "header", "value": {"summary": self.message, "description": ""}});
        let mut lines = vec![header.to_string()];
        for (file, mode) in self.files.iter().zip(modes) {
            let line = if mode.is_large() {
                json!({"key": "lfsFile", "value": {
                    "path": file.path, "algo": "sha256", "oid": file.sha256, "size": file.bytes,
                }})
            } else {
                let bytes = fs::read(&file.here).map_err(|e| file.unreadable(e))?;
                json!({"key": "file", "value": {
                    "path": file.path, "encoding": "base64", "content": base64(&bytes),
                }})
            };
            lines.push(line.to_string());
        }
        let text =
            client.post(&self.api("commit"), "application/x-ndjson", &lines.join("\n"), &[])?;
        let answer: Committed = parse(&text)?;
        Ok(answer.commit_url)
    }
}

impl UploadFile {
    fn open(&self) -> Result<File, Fault> {
        File::open(&self.here).map_err(|e| self.unreadable(e))
    }

    fn unreadable(&self, source: std::io::Error) -> Fault {
        Fault::Local(LmError::Io { path: self.here.clone(), source })
    }
}

fn message(files: &[UploadFile]) -> String {
    format!("Upload {} files with ingrain", files.len())
}

/// Files below `folder`, under `prefix` of the repository.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<UploadFile>) -> Result<(), LmError> {
    for entry in fs::read_dir(folder).map_err(LmError::io(folder))? {
        let entry = entry.map_err(LmError::io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(LmError::io(folder))?;
        if name.starts_with('.') || ["checkpoints", "stale"].contains(&name.as_str()) {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let here = entry.path();
        if kind.is_dir() {
            collect(&here, &path, files)?;
        } else if kind.is_file() {
            let bytes = entry.metadata().map_err(LmError::io(&here))?.len();
            let sha256 = sha256_file(&here)?;
            files.push(UploadFile { path, bytes, sha256, here });
        }
    }
    Ok(())
}
