//! Where a model comes from: one string, resolved to files that are verified and named.

mod adapter;
mod builtin;
mod hub;
mod wheel;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ingrain_run::{Observer, sha256_file, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::LmError;
use crate::weights::pickled_in;

pub use adapter::AdapterSource;
pub use builtin::cache_dir;
pub use hub::HubId;
#[cfg(feature = "hub")]
pub use hub::{RepoKind, Upload, UploadFile};
pub use wheel::{PinnedFile, PinnedWheel};

/// A model, as a user writes it.
///
/// Accepted: a built-in alias, a directory in HF layout, a `.gguf` file, a hub id
/// (`org/name@revision:sub/folder`). What is on this machine goes before what is on a hub.
///
/// # Examples
/// ```
/// use ingrain_lm::ModelSource;
///
/// let source: ModelSource = "smollm2-135m-instruct".parse()?;
/// assert_eq!(source.to_string(), "smollm2-135m-instruct");
/// assert!(matches!("org/name@main".parse()?, ModelSource::Hub(_)));
/// assert!("no-such-model".parse::<ModelSource>().is_err());
/// # Ok::<(), ingrain_lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// `smollm2-135m-instruct`, fetched once and verified.
    Builtin,
    /// A directory in HF layout.
    Directory(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
    /// A repository on a model hub.
    Hub(HubId),
}

/// Name of the built-in model.
pub const BUILTIN_MODEL: &str = "smollm2-135m-instruct";

impl FromStr for ModelSource {
    type Err = LmError;

    fn from_str(spec: &str) -> Result<Self, LmError> {
        let path = Path::new(spec);
        if spec == BUILTIN_MODEL {
            return Ok(Self::Builtin);
        }
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        let is_gguf = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
        match spec.parse() {
            // `org/name:file.gguf` is a file of a hub's, `folder/file.gguf` one of this machine's.
            Ok(id) if !is_gguf || (spec.contains(':') && !path.exists()) => Ok(Self::Hub(id)),
            _ if is_gguf => Ok(Self::Gguf(path.to_owned())),
            _ => Err(LmError::Source {
                spec: spec.to_owned(),
                reason: format!(
                    "is neither a directory, a .gguf file, a hub id (org/name@revision:folder), nor the \
                     built-in model {BUILTIN_MODEL:?}"
                ),
            }),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str(BUILTIN_MODEL),
            Self::Directory(path) | Self::Gguf(path) => write!(f, "{}", path.display()),
            Self::Hub(id) => write!(f, "{id}"),
        }
    }
}

impl ModelSource {
    /// Makes the files available and says exactly which weights they are.
    ///
    /// # Errors
    /// [`LmError`] if a file is missing, cannot be fetched, or has the wrong checksum.
    pub fn resolve(&self, observer: &dyn Observer) -> Result<ModelFiles, LmError> {
        match self {
            Self::Builtin => builtin::resolve(observer),
            Self::Gguf(path) => ModelFormat::Gguf(path.clone()).identified(self.to_string(), None),
            Self::Directory(dir) => {
                ModelFormat::Directory(dir.clone()).identified(self.to_string(), None)
            }
            #[cfg(feature = "hub")]
            Self::Hub(id) => {
                let fetched = hub::model(id, observer)?;
                fetched.files.identified(id.without_revision().to_string(), Some(fetched.commit))
            }
            #[cfg(not(feature = "hub"))]
            Self::Hub(id) => hub::absent(id),
        }
    }
}

/// Exactly which weights a run used: what a model card must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Where they came from, as the user named it, without a revision.
    pub source: String,
    /// The commit, for weights out of a hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Digest of the weight file; for shards, of their digests in hex, in order of name.
    pub sha256: String,
    /// Type that the weights are held in.
    pub dtype: String,
}

/// Files on this machine, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// Which weights they are.
    pub identity: ModelIdentity,
    /// Their form.
    pub format: ModelFormat,
}

/// The form of a model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelFormat {
    /// One GGUF file.
    Gguf(PathBuf),
    /// An HF directory.
    Directory(PathBuf),
}

impl ModelFormat {
    /// Says which weights these files are, by hashing them.
    fn identified(self, source: String, revision: Option<String>) -> Result<ModelFiles, LmError> {
        let sha256 = match &self {
            Self::Gguf(path) => sha256_file(path)?,
            Self::Directory(dir) => sha256_of_weights(dir)?,
        };
        let identity = ModelIdentity { source, revision, sha256, dtype: "float32".into() };
        Ok(ModelFiles { identity, format: self })
    }
}

/// Digest over the digests of all weight files of a directory, in order of name.
fn sha256_of_weights(dir: &Path) -> Result<String, LmError> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .map_err(LmError::io(dir))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    files.sort();
    match &files[..] {
        [] => {
            let reason = pickled_in(dir).unwrap_or_else(|| "holds no .safetensors file".into());
            Err(LmError::file(dir, reason))
        }
        [only] => Ok(sha256_file(only)?),
        many => {
            let digests = many.iter().map(sha256_file).collect::<Result<String, _>>()?;
            Ok(sha256_hex(digests.as_bytes()))
        }
    }
}
