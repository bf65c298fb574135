//! The order of a fetch: list, choose, take what is missing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ingrain_run::{Event, Observer};

use super::HubId;
use super::client::{Client, Fault, failed};
use super::listing::{Listing, RemoteFile, is_commit, join};
use super::store::Store;
use super::wanted::{INDEX, Wanted};
use crate::LmError;
use crate::source::{ModelFormat, cache_dir};
use crate::weights::shard_names;

/// A repository's files on this machine.
pub(in crate::source) struct Fetched<T> {
    pub(in crate::source) files: T,
    pub(in crate::source) commit: String,
}

/// Fetches a model: an HF directory or a GGUF file.
pub(in crate::source) fn model(
    id: &HubId,
    observer: &dyn Observer,
) -> Result<Fetched<ModelFormat>, LmError> {
    let mut run = Run::start(id, observer)?;
    let listing = run.listing.clone();
    let choice = Wanted::Model.choose(id, &listing)?;
    let folder = run.store.snapshot(&listing.commit);
    let files = match choice.gguf {
        Some(file) => {
            run.take(&choice.files)?;
            ModelFormat::Gguf(folder.join(&file.path))
        }
        None => {
            let directory = id.path().map_or(folder.clone(), |path| folder.join(path));
            let index = choice.files.iter().find(|file| file.path.ends_with(INDEX));
            let mut files = choice.files.clone();
            if let Some(index) = index {
                run.take(&[index])?;
                files.extend(shards(id, &listing, &folder.join(&index.path))?);
            }
            run.take(&files)?;
            ModelFormat::Directory(directory)
        }
    };
    Ok(Fetched { files, commit: listing.commit })
}

/// Fetches an adapter; the directory that holds it.
pub(in crate::source) fn adapter(
    id: &HubId,
    observer: &dyn Observer,
) -> Result<Fetched<PathBuf>, LmError> {
    let mut run = Run::start(id, observer)?;
    let listing = run.listing.clone();
    run.take(&Wanted::Adapter.choose(id, &listing)?.files)?;
    let folder = run.store.snapshot(&listing.commit);
    let files = id.path().map_or(folder.clone(), |path| folder.join(path));
    Ok(Fetched { files, commit: listing.commit })
}

/// The shards that an index names, all of which the repository must have beside it.
fn shards<'a>(
    id: &HubId,
    listing: &'a Listing,
    index: &Path,
) -> Result<Vec<&'a RemoteFile>, LmError> {
    let folder = id.path().unwrap_or("");
    shard_names(index)?
        .into_iter()
        .map(|name| {
            listing.file(folder, &name).ok_or_else(|| LmError::Download {
                what: id.to_string(),
                reason: format!("{} names a shard that is not there, {name}", join(folder, INDEX)),
            })
        })
        .collect()
}

/// One fetch from one repository.
struct Run<'a> {
    id: &'a HubId,
    observer: &'a dyn Observer,
    /// `None` offline.
    client: Option<Client>,
    store: Store,
    listing: Listing,
    /// Held against other processes that fetch; offline nobody writes.
    _lock: Option<std::fs::File>,
}

impl<'a> Run<'a> {
    /// Finds out which commit is meant and what it holds.
    fn start(id: &'a HubId, observer: &'a dyn Observer) -> Result<Self, LmError> {
        let store = Store::new(&cache_dir(), id);
        let revision = id.revision().unwrap_or("main");
        let client = (!is_offline()).then(Client::from_env);
        let lock = client.is_some().then(|| store.lock()).transpose()?;
        let known = store.recall(revision)?;
        let listing = match (&client, known) {
            (_, Some(known)) if is_commit(revision) => known,
            (None, Some(known)) => known,
            (None, None) => return Err(offline(id, "does not have it")),
            (Some(client), known) => match (client.list(id), known) {
                (Ok(listing), _) => {
                    store.remember(revision, &listing)?;
                    listing
                }
                (Err(Fault::Unreachable(reason)), Some(known)) => {
                    let message = format!(
                        "the hub cannot be reached ({reason}); taking {id} as fetched before, at {}",
                        known.commit
                    );
                    observer.on_event(&Event::Note { stage: stage(id), message });
                    known
                }
                (Err(fault), _) => return Err(failed(id, "", fault)),
            },
        };
        Ok(Self { id, observer, client, store, listing, _lock: lock })
    }

    /// Makes these files available, fetching what is not there yet.
    fn take(&mut self, files: &[&RemoteFile]) -> Result<(), LmError> {
        let commit = self.listing.commit.clone();
        let mut seen = HashSet::new();
        let missing: Vec<&RemoteFile> = files
            .iter()
            .copied()
            .filter(|file| seen.insert(&file.path) && !self.store.has(&commit, file))
            .collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let client = self
            .client
            .as_ref()
            .ok_or_else(|| offline(self.id, &format!("lacks {}", first.path)))?;
        let total = missing.iter().map(|file| file.bytes()).sum::<Option<u64>>();
        let (stage, started) = (stage(self.id), Instant::now());
        let unit = "bytes".to_owned();
        self.observer.on_event(&Event::StageStarted { stage: stage.clone(), total, unit });
        let mut done = 0;
        for file in missing {
            let mut reached = self.store.partial(&commit, file);
            self.store
                .fetch(client, self.id, &commit, file, &mut |bytes| {
                    // A progress line a megabyte is plenty.
                    if bytes >> 20 != reached >> 20 {
                        let event =
                            Event::Progress { stage: stage.clone(), done: done + bytes, tokens: 0 };
                        self.observer.on_event(&event);
                    }
                    reached = bytes;
                })
                .map_err(|fault| failed(self.id, &file.path, fault))?;
            done += file.bytes().unwrap_or(reached);
        }
        let seconds = started.elapsed().as_secs_f64();
        let event = Event::StageFinished { stage, done, tokens: 0, seconds, reused: false };
        self.observer.on_event(&event);
        Ok(())
    }
}

fn stage(id: &HubId) -> String {
    id.repo().to_owned()
}

/// As the hub's own client reads it.
fn is_offline() -> bool {
    let value = std::env::var("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_lowercase();
    matches!(value.as_str(), "1" | "true" | "yes" | "on")
}

fn offline(id: &HubId, problem: &str) -> LmError {
    LmError::Download {
        what: id.to_string(),
        reason: format!(
            "HF_HUB_OFFLINE is set, and the cache {} {problem}; fetch it once with the network, or pass \
             a directory",
            cache_dir().display()
        ),
    }
}
