//! Where fetched repositories lie on disk, and how one file gets there whole.
//!
//! `hub/org--name/<commit>/...` are the files as the repository has them; `<commit>.json` beside is the
//! hub's list of them, and `refs/<revision>` the commit that a branch or tag last meant. A file under
//! way is `<file>.part`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ingrain_run::{sha256_file, write_atomic, write_json_atomic};
use sha1::{Digest as _, Sha1};

use super::HubId;
use super::client::{Client, Fault, MAX_RETRIES, pause};
use super::listing::{Digest, Listing, RemoteFile, is_commit};
use crate::LmError;

/// The largest file accepted from a server that does not say its size.
const MAX_UNSIZED: u64 = 64 << 20;

/// The folder of one repository.
pub(super) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(super) fn new(cache: &Path, id: &HubId) -> Self {
        Self { dir: cache.join("hub").join(id.repo().replace('/', "--")) }
    }

    /// The folder that holds the files of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join(commit)
    }

    /// What was listed before for a revision; `None` if it was not.
    pub(super) fn recall(&self, revision: &str) -> Result<Option<Listing>, LmError> {
        let commit = if is_commit(revision) {
            revision.to_owned()
        } else {
            match fs::read_to_string(self.reference(revision)) {
                Ok(commit) => commit.trim().to_owned(),
                Err(_) => return Ok(None),
            }
        };
        let path = self.dir.join(format!("{commit}.json"));
        let Ok(bytes) = fs::read(&path) else { return Ok(None) };
        let listing: Option<Listing> = serde_json::from_slice(&bytes).ok();
        listing.filter(Listing::is_sound).map(Some).ok_or_else(|| {
            LmError::file(&path, "is no list of files any more; delete it and run again")
        })
    }

    pub(super) fn remember(&self, revision: &str, listing: &Listing) -> Result<(), LmError> {
        let reference = self.reference(revision);
        let folder = reference.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).map_err(LmError::io(folder))?;
        write_json_atomic(self.dir.join(format!("{}.json", listing.commit)), listing)?;
        Ok(write_atomic(&reference, listing.commit.as_bytes())?)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.dir.join("refs").join(revision.replace('/', "%2F"))
    }

    /// Keeps other processes from fetching into the same repository until dropped.
    pub(super) fn lock(&self) -> Result<File, LmError> {
        fs::create_dir_all(&self.dir).map_err(LmError::io(&self.dir))?;
        let path = self.dir.join(".lock");
        let file = File::create(&path).map_err(LmError::io(&path))?;
        file.lock().map_err(LmError::io(&path))?;
        Ok(file)
    }

    /// Whether the whole file is there.
    pub(super) fn has(&self, commit: &str, file: &RemoteFile) -> bool {
        let found = fs::metadata(self.snapshot(commit).join(&file.path));
        found.is_ok_and(|found| file.bytes().is_none_or(|bytes| found.len() == bytes))
    }

    /// Bytes of a file that an earlier try left.
    pub(super) fn partial(&self, commit: &str, file: &RemoteFile) -> u64 {
        fs::metadata(part_of(&self.snapshot(commit).join(&file.path)))
            .map_or(0, |found| found.len())
    }

    /// Fetches one file, going on where an earlier try stopped, and verifies it.
    ///
    /// `on_bytes` is told how many bytes of it are there.
    pub(super) fn fetch(
        &self,
        client: &Client,
        id: &HubId,
        commit: &str,
        file: &RemoteFile,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<(), Fault> {
        let target = self.snapshot(commit).join(&file.path);
        let part = part_of(&target);
        let folder = target.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).map_err(LmError::io(folder)).map_err(Fault::Local)?;
        let resumed = part.exists();
        let transfer = Transfer { client, id, commit, file, part: &part };
        let promised = transfer.receive(on_bytes)?;
        match verify(&part, promised.as_ref()) {
            // What an earlier try left may have been damaged: once more, from the start.
            Err(Fault::Passing(_)) if resumed => {
                verify(&part, transfer.receive(on_bytes)?.as_ref())?;
            }
            result => result?,
        }
        fs::rename(&part, &target).map_err(LmError::io(&target)).map_err(Fault::Local)
    }
}

fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// One file under way.
struct Transfer<'a> {
    client: &'a Client,
    id: &'a HubId,
    commit: &'a str,
    file: &'a RemoteFile,
    /// What is there of it.
    part: &'a Path,
}

impl Transfer<'_> {
    /// Bytes that are there.
    fn have(&self) -> u64 {
        fs::metadata(self.part).map_or(0, |found| found.len())
    }

    /// Appends to `part` until the file is whole; the digest that it must have, if anyone promised one.
    fn receive(&self, on_bytes: &mut dyn FnMut(u64)) -> Result<Option<Digest>, Fault> {
        let mut failures = 0;
        loop {
            let before = self.have();
            match self.receive_once(on_bytes) {
                Ok(digest) => return Ok(self.file.digest().or(digest)),
                Err(Fault::Passing(reason) | Fault::Unreachable(reason)) => {
                    failures = if self.have() > before { 0 } else { failures + 1 };
                    if failures > MAX_RETRIES {
                        return Err(Fault::Passing(reason));
                    }
                    pause(failures);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn receive_once(&self, on_bytes: &mut dyn FnMut(u64)) -> Result<Option<Digest>, Fault> {
        let Self { client, id, commit, file, part } = *self;
        let local = |e: io::Error| Fault::Local(LmError::io(part)(e));
        let mut have = self.have();
        if file.bytes().is_some_and(|bytes| have > bytes) {
            fs::remove_file(part).map_err(local)?;
            have = 0;
        }
        if file.bytes() == Some(have) {
            OpenOptions::new().create(true).append(true).open(part).map_err(local)?;
            return Ok(None);
        }
        let mut download = client.open(id, commit, file, have)?;
        let total = match (file.bytes(), download.total) {
            (Some(listed), Some(sent)) if listed != sent => {
                let reason = format!("the hub lists {listed} bytes and sends {sent}");
                return Err(Fault::Final(reason));
            }
            (listed, sent) => listed.or(sent),
        };
        let mut out = OpenOptions::new().create(true).append(true).open(part).map_err(local)?;
        // A server that does not know ranges sends everything again.
        out.set_len(download.start).map_err(local)?;
        let limit = total.unwrap_or(MAX_UNSIZED);
        let mut have = download.start;
        let mut buffer = vec![0; 1 << 16];
        let digest = download.digest.take();
        let mut reader = download.reader();
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) => return Err(Fault::Passing(format!("the connection broke: {e}"))),
            };
            have += read as u64;
            if have > limit {
                return Err(Fault::Final(format!(
                    "the hub sends more than the {limit} bytes promised"
                )));
            }
            out.write_all(&buffer[..read]).map_err(local)?;
            on_bytes(have);
        }
        if total.is_some_and(|total| have < total) {
            return Err(Fault::Passing(format!("the connection ended after {have} bytes")));
        }
        Ok(digest)
    }
}

/// Compares with what was promised; a file that differs is removed.
fn verify(part: &Path, promised: Option<&Digest>) -> Result<(), Fault> {
    let (found, expected) = match promised {
        None => return Ok(()),
        Some(Digest::Sha256(hex)) => {
            (sha256_file(part).map_err(LmError::from).map_err(Fault::Local)?, hex)
        }
        Some(Digest::GitBlob(hex)) => (git_blob(part).map_err(Fault::Local)?, hex),
    };
    if found == *expected {
        return Ok(());
    }
    fs::remove_file(part).map_err(LmError::io(part)).map_err(Fault::Local)?;
    Err(Fault::Passing(format!("its digest is {found}, not {expected} as the hub promised")))
}

/// Git's name of a file: SHA-1 over `blob <length>\0` and the content.
fn git_blob(path: &Path) -> Result<String, LmError> {
    let mut file = File::open(path).map_err(LmError::io(path))?;
    let length = file.metadata().map_err(LmError::io(path))?.len();
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {length}\0"));
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(LmError::io(path))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_git_blob_is_named_as_git_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "hello\n").unwrap();
        // `printf 'hello\n' | git hash-object --stdin`
        assert_eq!(super::git_blob(&path).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
