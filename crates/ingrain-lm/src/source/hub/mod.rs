//! Models and adapters out of a hub, fetched once, verified, kept at their commit; and folders to it.
//!
//! The environment says which hub (`HF_ENDPOINT`), who asks (`HF_TOKEN`) and whether the network may be
//! used at all (`HF_HUB_OFFLINE`). Knows files, not what is in them.

mod id;

#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod fetch;
#[cfg(feature = "hub")]
mod listing;
#[cfg(feature = "hub")]
mod store;
#[cfg(feature = "hub")]
mod upload;
#[cfg(feature = "hub")]
mod wanted;

pub use id::HubId;

#[cfg(feature = "hub")]
pub(super) use fetch::{adapter, model};
#[cfg(feature = "hub")]
pub use upload::{RepoKind, Upload, UploadFile};

/// What a build without the feature says.
#[cfg(not(feature = "hub"))]
pub(super) fn absent<T>(id: &HubId) -> Result<T, crate::LmError> {
    Err(crate::LmError::Source {
        spec: id.to_string(),
        reason:
            "is a hub id, and this build has no hub; add --features hub, or fetch it with another \
                 program and pass the directory"
                .into(),
    })
}
