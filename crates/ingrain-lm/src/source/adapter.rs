//! Where an adapter comes from: a directory, or a repository on a hub.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ingrain_run::Observer;

use super::HubId;
#[cfg(feature = "hub")]
use super::hub;
use crate::LmError;

/// An adapter in PEFT's form, as a user writes it.
///
/// # Examples
/// ```
/// use ingrain_lm::AdapterSource;
///
/// let source: AdapterSource = "org/personas@main:sarcasm".parse()?;
/// assert_eq!(source.to_string(), "org/personas@main:sarcasm");
/// # Ok::<(), ingrain_lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdapterSource {
    /// A directory with `adapter_config.json` and `adapter_model.safetensors`.
    Directory(PathBuf),
    /// A repository on a model hub, or a folder of one.
    Hub(HubId),
}

impl FromStr for AdapterSource {
    type Err = LmError;

    fn from_str(spec: &str) -> Result<Self, LmError> {
        let path = Path::new(spec);
        match spec.parse() {
            Ok(id) if !path.exists() => Ok(Self::Hub(id)),
            _ => Ok(Self::Directory(path.to_owned())),
        }
    }
}

impl fmt::Display for AdapterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Hub(id) => write!(f, "{id}"),
        }
    }
}

impl AdapterSource {
    /// The directory that holds it, fetched if need be; for [`Adapter::load`](crate::Adapter::load).
    ///
    /// # Errors
    /// [`LmError`] if it cannot be fetched, or what came is not what the hub promised.
    #[cfg_attr(not(feature = "hub"), expect(unused_variables, reason = "nothing to report on"))]
    pub fn resolve(&self, observer: &dyn Observer) -> Result<PathBuf, LmError> {
        match self {
            Self::Directory(path) => Ok(path.clone()),
            #[cfg(feature = "hub")]
            Self::Hub(id) => Ok(hub::adapter(id, observer)?.files),
            #[cfg(not(feature = "hub"))]
            Self::Hub(id) => super::hub::absent(id),
        }
    }
}
