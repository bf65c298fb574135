//! Replies that are never lost and never asked for twice.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ingrain_run::{FileLock, JsonlStore, Keyed, RunError, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::occurrence::occurrences;
use crate::{ChatError, ChatModel, ChatReply, ChatRequest};

/// Wraps any [`ChatModel`] with a journal on disk: a reply is written down before it is handed on,
/// and a request whose reply is there is not sent again.
///
/// The key is a SHA-256 over model name, messages, sampling (its seed too) and, for equal requests
/// within one call, which of them it is: five equal requests are five samples. Errors are not kept.
///
/// The journal belongs to one process at a time, by a lock beside it. [`journal`](crate::journal)
/// looks into it and compacts it.
///
/// # Examples
/// ```
/// use ingrain_chat::{Cached, ChatModel, ChatRequest, Message, Sampling, Scripted};
///
/// # let dir = tempfile::tempdir()?;
/// let model = Scripted::replies(["only once"]);
/// let cached = Cached::open(&model, "my-endpoint/model-7", dir.path().join("cache.jsonl"))?;
/// let request = ChatRequest::new(vec![Message::user("Hi.")], Sampling::default());
/// for _ in 0..3 {
///     assert_eq!(cached.complete_one(&request)?.text, "only once");
/// }
/// assert_eq!(model.requests().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Cached<M> {
    model: M,
    model_name: String,
    journal: Mutex<JsonlStore<CachedReply>>,
    _lock: FileLock,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedReply {
    /// Hash of what was asked.
    pub key: String,
    /// Who answered.
    pub model: String,
    /// Last message of the request, for people who read the file.
    pub asked: String,
    /// What came.
    pub reply: ChatReply,
}

impl Keyed for CachedReply {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

impl<M: ChatModel> Cached<M> {
    /// Opens or creates the journal. `model_name` must tell apart everything that answers
    /// differently: endpoint, model, revision, adapter.
    ///
    /// # Errors
    /// As [`JsonlStore::open`], and [`RunError::Locked`] if another process has the journal.
    pub fn open(
        model: M,
        model_name: impl Into<String>,
        journal: impl Into<PathBuf>,
    ) -> Result<Self, RunError> {
        let path = journal.into();
        let lock = lock(&path)?;
        let journal = Mutex::new(JsonlStore::open(path)?);
        Ok(Self { model, model_name: model_name.into(), journal, _lock: lock })
    }

    /// Number of replies in the journal.
    #[must_use]
    pub fn len(&self) -> usize {
        self.journal().len()
    }

    /// Whether the journal is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forces the journal onto the disk itself.
    ///
    /// # Errors
    /// As [`JsonlStore::sync`].
    pub fn sync(&self) -> Result<(), RunError> {
        self.journal().sync()
    }

    fn journal(&self) -> MutexGuard<'_, JsonlStore<CachedReply>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One key a request.
    fn keys(&self, requests: &[ChatRequest]) -> Result<Vec<String>, ChatError> {
        let hashes = requests
            .iter()
            .map(|request| request_hash(&self.model_name, request))
            .collect::<Result<Vec<_>, _>>()?;
        let samples = occurrences(&hashes);
        Ok(hashes.iter().zip(samples).map(|(hash, sample)| format!("{hash}#{sample}")).collect())
    }

    fn keep(&self, key: &str, request: &ChatRequest, reply: &ChatReply) -> Result<(), ChatError> {
        let entry = CachedReply {
            key: key.to_owned(),
            model: self.model_name.clone(),
            asked: request.messages.last().map_or_else(String::new, |m| m.content.clone()),
            reply: reply.clone(),
        };
        self.journal().append(&entry)?;
        Ok(())
    }
}

impl<M: ChatModel> ChatModel for Cached<M> {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let keys = match self.keys(requests) {
            Ok(keys) => keys,
            Err(error) => {
                let message = error.to_string();
                return (0..requests.len())
                    .for_each(|i| on_reply(i, Err(ChatError::InvalidRequest(message.clone()))));
            }
        };
        let mut missing = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let found = self.journal().get(key);
            match found {
                Ok(Some(entry)) => on_reply(i, Ok(entry.reply)),
                Ok(None) => missing.push(i),
                Err(error) => on_reply(i, Err(error.into())),
            }
        }
        if missing.is_empty() {
            return;
        }
        let ask: Vec<_> = missing.iter().map(|&i| requests[i].clone()).collect();
        self.model.complete(&ask, &mut |at, result| {
            let Some(&i) = missing.get(at) else { return };
            let kept =
                result.and_then(|reply| self.keep(&keys[i], &requests[i], &reply).map(|()| reply));
            on_reply(i, kept);
        });
    }

    fn batch_matters(&self) -> bool {
        self.model.batch_matters()
    }

    fn cost(&self) -> Option<f64> {
        self.model.cost()
    }
}

/// The lock of a journal, in a file beside it (compaction replaces the journal itself).
pub(crate) fn lock(journal: &Path) -> Result<FileLock, RunError> {
    let mut name = journal.as_os_str().to_owned();
    name.push(".lock");
    FileLock::take(Path::new(&name), journal)
}

fn request_hash(model_name: &str, request: &ChatRequest) -> Result<String, ChatError> {
    let json = serde_json::to_string(&(model_name, request))
        .map_err(|e| ChatError::InvalidRequest(format!("it has no JSON form: {e}")))?;
    Ok(sha256_hex(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Sampling, Scripted};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn ask(text: &str, seed: u64) -> ChatRequest {
        ChatRequest::new(vec![Message::user(text)], Sampling { seed, ..Sampling::default() })
    }

    /// Gives every request a reply of its own.
    fn counting() -> Scripted {
        let count = AtomicUsize::new(0);
        Scripted::from_fn(move |_| format!("reply {}", count.fetch_add(1, Ordering::SeqCst)))
    }

    fn texts(model: &dyn ChatModel, requests: &[ChatRequest]) -> Vec<String> {
        model.complete_all(requests).into_iter().map(|r| r.unwrap().text).collect()
    }

    #[test]
    fn five_equal_requests_are_five_samples_and_come_back_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let model = counting();
        let requests = vec![ask("Hi.", 0); 5];
        let first = texts(&Cached::open(&model, "m", &path).unwrap(), &requests);
        let again = texts(&Cached::open(&model, "m", &path).unwrap(), &requests);
        assert_eq!(first, ["reply 0", "reply 1", "reply 2", "reply 3", "reply 4"]);
        assert_eq!(again, first);
        assert_eq!(model.requests().len(), 5);
    }

    #[test]
    fn model_name_text_and_seed_each_make_another_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let model = counting();
        for (name, request) in
            [("m", ask("a", 0)), ("n", ask("a", 0)), ("m", ask("b", 0)), ("m", ask("a", 1))]
        {
            texts(&Cached::open(&model, name, &path).unwrap(), &[request]);
        }
        assert_eq!(model.requests().len(), 4);
    }

    #[test]
    fn only_what_is_missing_is_sent_and_errors_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let fails = AtomicUsize::new(0);
        let model = Scripted::try_from_fn(move |request| {
            let text = request.messages[0].content.clone();
            if text == "bad" && fails.fetch_add(1, Ordering::SeqCst) == 0 {
                return Err(ChatError::Model("503".into()));
            }
            Ok(ChatReply {
                text: text.to_uppercase(),
                finish: crate::FinishReason::Stop,
                prompt_tokens: 1,
                completion_tokens: 1,
            })
        });
        let requests = [ask("good", 0), ask("bad", 0)];
        let cached = Cached::open(&model, "m", &path).unwrap();
        let first = cached.complete_all(&requests);
        assert!(first[0].is_ok() && first[1].is_err());
        assert_eq!(texts(&cached, &requests), ["GOOD", "BAD"]);
        let batches: Vec<_> = model.batches().iter().map(Vec::len).collect();
        assert_eq!(batches, [2, 1]);
    }

    #[test]
    fn a_second_process_is_kept_out_of_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let held = Cached::open(counting(), "m", &path).unwrap();
        let error = Cached::open(counting(), "m", &path).err().unwrap();
        assert!(matches!(error, RunError::Locked { .. }), "{error}");
        drop(held);
        assert!(Cached::open(counting(), "m", &path).is_ok());
    }

    #[test]
    fn a_reply_is_on_disk_before_it_is_handed_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let cached = Cached::open(counting(), "m", &path).unwrap();
        let mut lines = Vec::new();
        cached.complete(&[ask("a", 0), ask("b", 0)], &mut |_, _| {
            lines.push(std::fs::read_to_string(&path).unwrap().lines().count());
        });
        assert_eq!(lines, [1, 2]);
    }
}
