//! Which files of a repository make a model, and which an adapter.

use super::HubId;
use super::listing::{Listing, RemoteFile, join};
use crate::LmError;

/// What is looked for in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Model,
    Adapter,
}

/// Beside the weights, whatever of these is there.
const MODEL_FILES: [&str; 8] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];
const ADAPTER_FILES: [&str; 3] =
    ["adapter_config.json", "adapter_model.safetensors", "selftest.json"];
pub(super) const INDEX: &str = "model.safetensors.index.json";
const WEIGHTS: &str = "model.safetensors";

/// The files to fetch, and the one in which a `.gguf` model lies.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) files: Vec<&'a RemoteFile>,
    pub(super) gguf: Option<&'a RemoteFile>,
}

impl Wanted {
    /// Chooses by name alone. Shards are named in [`INDEX`], which is to be read first.
    pub(super) fn choose<'a>(
        self,
        id: &HubId,
        listing: &'a Listing,
    ) -> Result<Choice<'a>, LmError> {
        let folder = id.path().unwrap_or("");
        match self {
            Self::Adapter => adapter(id, listing, folder),
            Self::Model if is_gguf(folder) => gguf(id, listing, folder),
            Self::Model => model(id, listing, folder),
        }
    }
}

fn adapter<'a>(id: &HubId, listing: &'a Listing, folder: &str) -> Result<Choice<'a>, LmError> {
    let files: Vec<_> =
        ADAPTER_FILES.iter().filter_map(|name| listing.file(folder, name)).collect();
    if listing.file(folder, ADAPTER_FILES[0]).is_none() {
        return Err(nothing(id, "adapter_config.json", elsewhere(id, listing, ADAPTER_FILES[0])));
    }
    if listing.file(folder, ADAPTER_FILES[1]).is_none() {
        let old = listing.file(folder, "adapter_model.bin").is_some();
        let hint = if old {
            "; adapter_model.bin is a pickle, which may run code: convert it"
        } else {
            ""
        };
        return Err(nothing(id, ADAPTER_FILES[1], hint.into()));
    }
    Ok(Choice { files, gguf: None })
}

fn model<'a>(id: &HubId, listing: &'a Listing, folder: &str) -> Result<Choice<'a>, LmError> {
    let mut files: Vec<_> =
        MODEL_FILES.iter().filter_map(|name| listing.file(folder, name)).collect();
    let weights = [INDEX, WEIGHTS].iter().find_map(|name| listing.file(folder, name));
    if let (Some(weights), Some(_)) = (weights, listing.file(folder, "config.json")) {
        files.push(weights);
        return Ok(Choice { files, gguf: None });
    }
    let ggufs: Vec<&str> = listing.names_in(folder).filter(|name| is_gguf(name)).collect();
    match ggufs[..] {
        [] => {}
        [only] => return gguf(id, listing, &join(folder, only)),
        _ => {
            let hint = format!("; it has several GGUF files, name one: {}:{}", id.repo(), ggufs[0]);
            return Err(nothing(id, WEIGHTS, format!("{hint} (or {})", ggufs[1..].join(", "))));
        }
    }
    let hint = if listing.file(folder, ADAPTER_FILES[0]).is_some() {
        "; it is an adapter: name its base as the model".into()
    } else if listing.file(folder, "pytorch_model.bin").is_some() {
        "; pytorch_model.bin is a pickle, which may run code: convert it".into()
    } else {
        elsewhere(id, listing, "config.json")
    };
    let missing = if weights.is_some() { "config.json" } else { WEIGHTS };
    Err(nothing(id, missing, hint))
}

fn gguf<'a>(id: &HubId, listing: &'a Listing, path: &str) -> Result<Choice<'a>, LmError> {
    let file = listing.file("", path).ok_or_else(|| nothing(id, path, String::new()))?;
    Ok(Choice { files: vec![file], gguf: Some(file) })
}

fn is_gguf(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".gguf")
}

/// Folders that hold such a file, for a person who forgot to name one.
fn elsewhere(id: &HubId, listing: &Listing, name: &str) -> String {
    let folders: Vec<&str> = listing
        .files
        .iter()
        .filter_map(|file| file.path.strip_suffix(name)?.strip_suffix('/'))
        .take(12)
        .collect();
    match folders.first() {
        None => String::new(),
        Some(first) => {
            format!(
                "; name a folder that has it ({}), as {}:{first}",
                folders.join(", "),
                id.repo()
            )
        }
    }
}

fn nothing(id: &HubId, missing: &str, hint: String) -> LmError {
    LmError::Download { what: id.to_string(), reason: format!("it has no {missing} there{hint}") }
}
