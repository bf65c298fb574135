//! What a repository holds at one commit, as the hub's API lists it.

use serde::{Deserialize, Serialize};

use super::id::is_inside;

/// The files of a repository at one commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "sha")]
    pub(super) commit: String,
    #[serde(rename = "siblings", default)]
    pub(super) files: Vec<RemoteFile>,
}

/// One file, with what is promised of its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RemoteFile {
    /// Path inside the repository.
    #[serde(rename = "rfilename")]
    pub(super) path: String,
    /// Bytes.
    #[serde(default)]
    pub(super) size: Option<u64>,
    /// Digest of the Git blob, for files kept in Git itself.
    #[serde(rename = "blobId", default)]
    pub(super) blob_id: Option<String>,
    /// Where the file is kept outside Git.
    #[serde(default)]
    pub(super) lfs: Option<LargeFile>,
}

/// A file that Git only points to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LargeFile {
    pub(super) sha256: String,
    #[serde(default)]
    pub(super) size: Option<u64>,
}

/// What the content of a file must hash to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Digest {
    /// SHA-256 of the content.
    Sha256(String),
    /// SHA-1 of Git's blob: a header with the length, then the content.
    GitBlob(String),
}

impl Digest {
    /// Tells the two apart by their length, as the hub's entity tags need it.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        match text.len() {
            64 if is_hex => Some(Self::Sha256(text)),
            40 if is_hex => Some(Self::GitBlob(text)),
            _ => None,
        }
    }
}

impl RemoteFile {
    pub(super) fn bytes(&self) -> Option<u64> {
        self.lfs.as_ref().and_then(|lfs| lfs.size).or(self.size)
    }

    pub(super) fn digest(&self) -> Option<Digest> {
        match &self.lfs {
            Some(lfs) => Digest::from_hex(&lfs.sha256),
            None => self.blob_id.as_deref().and_then(Digest::from_hex),
        }
    }
}

impl Listing {
    /// Whether commit and paths may be used as names on this machine's disk.
    pub(super) fn is_sound(&self) -> bool {
        is_commit(&self.commit) && self.files.iter().all(|file| is_inside(&file.path))
    }

    /// The file of that name directly in `folder` (the root, if empty).
    pub(super) fn file(&self, folder: &str, name: &str) -> Option<&RemoteFile> {
        let path = join(folder, name);
        self.files.iter().find(|file| file.path == path)
    }

    /// The files directly in `folder`, by their names in it.
    pub(super) fn names_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files
            .iter()
            .filter_map(move |file| match folder {
                "" => Some(file.path.as_str()),
                _ => file.path.strip_prefix(folder)?.strip_prefix('/'),
            })
            .filter(|name| !name.contains('/'))
    }
}

/// Whether a revision is a whole commit, which never changes.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
