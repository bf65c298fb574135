//! The provider's side: files, batches, polling.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

use hyper::Method;
use hyper::body::Bytes;
use ingrain_run::RunError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::OpenAiBatch;
use super::state::{BatchState, Progress};
use crate::ChatError;
use crate::openai::endpoints::Endpoint;
use crate::openai::failure::Failure;
use crate::openai::http::Call;

/// Metadata key under which a batch is found again.
const NAME: &str = "ingrain";
const BOUNDARY: &str = "----ingrain-batch-7d1c2a94";
const MULTIPART: &str = "multipart/form-data; boundary=----ingrain-batch-7d1c2a94";

#[derive(Deserialize)]
struct Uploaded {
    id: String,
}

#[derive(Deserialize)]
struct Batch {
    id: String,
    #[serde(default)]
    status: String,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Batch>,
}

impl OpenAiBatch {
    /// Takes a batch from wherever it is to [`Progress::Submitted`].
    pub(super) async fn submit(&self, state: &mut BatchState) -> Result<(), ChatError> {
        // Whoever uploaded may have been killed right after the batch was made: then it is listed.
        let mut may_exist = matches!(state.progress, Progress::Uploaded { .. });
        loop {
            match &state.progress {
                Progress::Written => {
                    let input_file = self.upload(state).await?;
                    state.progress = Progress::Uploaded { input_file };
                }
                Progress::Uploaded { input_file } => {
                    let found = if may_exist { self.find(&state.name).await? } else { None };
                    may_exist = true;
                    let batch = match found {
                        Some(batch) => batch,
                        None => match self.create(&state.name, input_file).await? {
                            Some(batch) => batch,
                            None => continue,
                        },
                    };
                    state.progress = Progress::Submitted { batch };
                }
                Progress::Submitted { .. } | Progress::Ended => return Ok(()),
            }
            self.folder.save(state)?;
        }
    }

    /// Waits until a submitted batch ended and writes its results down.
    pub(super) async fn wait(&self, state: &mut BatchState) -> Result<(), ChatError> {
        let Progress::Submitted { batch } = &state.progress else { return Ok(()) };
        let route = format!("/batches/{}", checked(batch)?);
        loop {
            let batch: Batch = self.get(&route).await?;
            let ended = ["completed", "failed", "expired", "cancelled"];
            if ended.contains(&batch.status.as_str()) {
                self.fetch(state, &batch).await?;
                state.progress = Progress::Ended;
                self.folder.save(state)?;
                return Ok(());
            }
            self.client.pause(self.pause()).await?;
        }
    }

    /// Output and error file, one after the other, to the results file.
    async fn fetch(&self, state: &BatchState, batch: &Batch) -> Result<(), ChatError> {
        let path = self.folder.results(&state.name);
        let beside = path.with_extension("part");
        let mut out =
            BufWriter::new(File::create(&beside).map_err(|e| RunError::io(&beside, "create", e))?);
        for file in [&batch.output_file_id, &batch.error_file_id].into_iter().flatten() {
            let route = format!("/files/{}/content", checked(file)?);
            self.retry(async |endpoint| {
                let call = call(endpoint, Method::GET, &route, "", Bytes::new())?;
                self.client.shared.http.download(call, &mut out).await
            })
            .await?;
            // A torn line of an attempt that failed must not swallow the next one.
            out.write_all(b"\n").map_err(|e| RunError::io(&beside, "write", e))?;
        }
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|e| RunError::io(&path, "write", e))?;
        Ok(())
    }

    async fn upload(&self, state: &BatchState) -> Result<String, ChatError> {
        let path = self.folder.input(&state.name);
        let input = fs::read(&path).map_err(|e| RunError::io(&path, "read", e))?;
        let body = Bytes::from(multipart(&state.name, &input));
        let uploaded: Uploaded = self.ask(Method::POST, "/files", MULTIPART, body).await?;
        checked(&uploaded.id).map(str::to_owned)
    }

    /// One attempt only: a repeated one could make, and cost, a second batch. None: look whether it
    /// was made, and try again.
    async fn create(&self, name: &str, input_file: &str) -> Result<Option<String>, ChatError> {
        let body = json!({
            "input_file_id": input_file,
            "endpoint": "/v1/chat/completions",
            "completion_window": self.config.completion_window,
            "metadata": { NAME: name },
        });
        let endpoint = self.endpoint()?;
        let body = Bytes::from(body.to_string());
        let made = async {
            let call = call(endpoint, Method::POST, "/batches", "application/json", body)?;
            read::<Batch>(&self.client.shared.http.json(call).await?)
        };
        match made.await {
            Ok(batch) => checked(&batch.id).map(|id| Some(id.to_owned())),
            Err(failure) if failure.is_transient() => {
                tracing::debug!(%failure, "a batch was not made, or was and nobody said so");
                let asked = failure.retry_after().unwrap_or_default();
                self.client.pause(asked.max(self.client.config.retry.backoff(1))).await?;
                Ok(None)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    async fn find(&self, name: &str) -> Result<Option<String>, ChatError> {
        let page: Page = self.get("/batches?limit=100").await?;
        let is_it = |batch: &Batch| {
            batch.metadata.as_ref().and_then(|m| m.get(NAME)).and_then(Value::as_str) == Some(name)
        };
        Ok(page.data.into_iter().find(is_it).map(|batch| batch.id))
    }

    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ChatError> {
        self.ask(Method::GET, route, "", Bytes::new()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<T, ChatError> {
        self.retry(async |endpoint| {
            let call = call(endpoint, method.clone(), route, content_type, body.clone())?;
            read(&self.client.shared.http.json(call).await?)
        })
        .await
    }

    async fn retry<T>(
        &self,
        mut attempt: impl AsyncFnMut(&Endpoint) -> Result<T, Failure>,
    ) -> Result<T, ChatError> {
        let endpoint = self.endpoint()?;
        let retry = &self.client.config.retry;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match attempt(endpoint).await {
                Ok(value) => return Ok(value),
                Err(failure) if failure.is_transient() && attempts < retry.max_attempts => {
                    let asked = failure.retry_after().unwrap_or_default();
                    self.client.pause(asked.max(retry.backoff(attempts))).await?;
                }
                Err(failure) => return Err(self.failed(failure)),
            }
        }
    }

    fn endpoint(&self) -> Result<&Endpoint, ChatError> {
        let first = self.client.shared.endpoints.iter().next();
        first.ok_or_else(|| ChatError::Settings("`endpoints` is empty".to_owned()))
    }
}

fn call(
    endpoint: &Endpoint,
    method: Method,
    route: &str,
    content_type: &'static str,
    body: Bytes,
) -> Result<Call, Failure> {
    let uri = endpoint.uri(route).map_err(|e| Failure::Connect(e.to_string()))?;
    Ok(Call { method, uri, key: endpoint.key.clone(), content_type, body })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|e| Failure::Malformed(e.to_string()))
}

/// An id from a server, fit to be part of a URL.
fn checked(id: &str) -> Result<&str, ChatError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && id.len() <= 200 && id.chars().all(fits) && !id.contains("..") {
        return Ok(id);
    }
    Err(ChatError::Model("the server gave a file or batch an id that is none".to_owned()))
}

fn multipart(name: &str, input: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"{name}.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(input);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}
