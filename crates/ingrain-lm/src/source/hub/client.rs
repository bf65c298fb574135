//! Talking HTTP to a hub. Knows addresses, headers and retries; not which files are wanted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use super::HubId;
use super::listing::{Digest, Listing, RemoteFile};
use crate::LmError;

const ENDPOINT: &str = "https://huggingface.co";
/// A repository of many thousand files is listed in a few megabytes.
const MAX_LISTING: u64 = 32 << 20;
/// How often a request is made again after a passing fault without any progress between.
pub(super) const MAX_RETRIES: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a request gave nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// Asking again will not help.
    Final(String),
    /// The hub or the network may do better next time.
    Passing(String),
    /// No hub was reached at all.
    Unreachable(String),
    /// This machine's disk.
    Local(LmError),
}

impl From<ureq::Error> for Fault {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => {
                Self::Unreachable(error.to_string())
            }
            ureq::Error::Io(ref e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                Self::Unreachable(error.to_string())
            }
            ureq::Error::Timeout(_) | ureq::Error::Io(_) | ureq::Error::Protocol(_) => {
                Self::Passing(error.to_string())
            }
            other => Self::Final(other.to_string()),
        }
    }
}

/// A hub, and who we are to it.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    /// Sent to the endpoint alone; never shown.
    token: Option<String>,
}

impl Client {
    /// `HF_ENDPOINT` and `HF_TOKEN` (or `HUGGING_FACE_HUB_TOKEN`) say which hub and who asks.
    pub(super) fn from_env() -> Self {
        let read = |name: &str| {
            std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .user_agent(concat!("ingrain/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let endpoint = read("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        Self {
            agent,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: read("HF_TOKEN").or_else(|| read("HUGGING_FACE_HUB_TOKEN")),
        }
    }

    /// The files of `id` at its revision.
    pub(super) fn list(&self, id: &HubId) -> Result<Listing, Fault> {
        let revision = encode(id.revision().unwrap_or("main"), false);
        let url =
            format!("{}/api/models/{}/revision/{revision}?blobs=true", self.endpoint, id.repo());
        let text = retry(|| {
            let mut response = self.get(&url, None)?;
            let body = response.body_mut().with_config().limit(MAX_LISTING);
            Ok(body.read_to_string()?)
        })?;
        let listing: Listing = serde_json::from_str(&text)
            .map_err(|e| Fault::Final(format!("the hub's list of files cannot be read: {e}")))?;
        if listing.is_sound() {
            return Ok(listing);
        }
        Err(Fault::Final(
            "the hub's list of files has a commit or path that is no plain name".into(),
        ))
    }

    /// The bytes of a file from `offset` on, at a commit.
    pub(super) fn open(
        &self,
        id: &HubId,
        commit: &str,
        file: &RemoteFile,
        offset: u64,
    ) -> Result<Download, Fault> {
        let path = encode(&file.path, true);
        let url = format!("{}/{}/resolve/{commit}/{path}", self.endpoint, id.repo());
        let response = self.get(&url, (offset > 0).then_some(offset))?;
        Download::new(response, offset)
    }

    /// Whether anybody asks.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Sends text and returns the answer; `fine` are statuses that are no failure here. The token goes to
    /// the hub alone, whatever address an answer of its named. Passing faults are tried again: every
    /// request that is sent this way may be sent twice.
    pub(super) fn post(
        &self,
        target: &str,
        content_type: &str,
        body: &str,
        fine: &[u16],
    ) -> Result<String, Fault> {
        let url = match target.starts_with('/') {
            true => format!("{}{target}", self.endpoint),
            false => target.to_owned(),
        };
        retry(|| {
            let mut request = self.agent.post(&url).header("content-type", content_type);
            if let Some(token) = self.token.as_ref().filter(|_| self.is_ours(&url)) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let mut response = request.send(body)?;
            let status = response.status();
            if !status.is_success() && !fine.contains(&status.as_u16()) {
                return Err(self.refusal(status, response.headers()));
            }
            Ok(response.body_mut().with_config().limit(MAX_LISTING).read_to_string()?)
        })
    }

    /// Puts a file at an address that the hub named, which carries its own permission.
    pub(super) fn put(
        &self,
        url: &str,
        headers: &BTreeMap<String, String>,
        file: File,
        bytes: u64,
    ) -> Result<(), Fault> {
        let mut request = self.agent.put(url).header("content-length", bytes);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send(SendBody::from_owned_reader(file))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(self.refusal(status, response.headers())),
        }
    }

    fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(&self.endpoint).is_some_and(|rest| rest.starts_with('/'))
    }

    fn get(&self, url: &str, offset: Option<u64>) -> Result<Response<Body>, Fault> {
        // Ranges and sizes are those of the bytes as stored, so none may be compressed on the way.
        let mut request = self.agent.get(url).header("accept-encoding", "identity");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(offset) = offset {
            request = request.header("range", format!("bytes={offset}-"));
        }
        let response = request.call()?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(self.refusal(status, response.headers())),
        }
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> Fault {
        let code = status.as_u16();
        let said = text(headers, "x-error-message").map(|m| format!(" ({m})")).unwrap_or_default();
        let reason = match (code, text(headers, "x-error-code")) {
            (_, Some("RevisionNotFound")) => "there is no such revision".to_owned(),
            (_, Some("EntryNotFound")) => "there is no such file".to_owned(),
            (401 | 403, _) if self.token.is_none() => {
                "does not exist, or is private or gated: set HF_TOKEN to a token that may read it"
                    .to_owned()
            }
            (401 | 403, _) => {
                "the token in HF_TOKEN may not read it, or it does not exist".to_owned()
            }
            (404, _) => "there is no such repository or revision".to_owned(),
            (416, _) => {
                return Fault::Passing("the hub has no bytes where the partial file ends".into());
            }
            (408 | 429 | 500..=599, _) => {
                return Fault::Passing(format!("HTTP status {code}{said}"));
            }
            _ => "was refused".to_owned(),
        };
        Fault::Final(format!("{reason}; HTTP status {code}{said}"))
    }
}

/// Makes the request again, after a while, as long as its faults are passing.
fn retry<T>(mut request: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut failures = 0;
    loop {
        match request() {
            Err(Fault::Passing(_)) if failures < MAX_RETRIES => {
                failures += 1;
                pause(failures);
            }
            result => return result,
        }
    }
}

/// Waits before try number `failures`: a fifth of a second, doubling.
pub(super) fn pause(failures: u32) {
    std::thread::sleep(Duration::from_millis(100 << failures.min(6)));
}

/// A file on its way.
pub(super) struct Download {
    body: Body,
    /// Where the bytes begin; 0 if the server does not know ranges.
    pub(super) start: u64,
    /// Size of the whole file, if the server says.
    pub(super) total: Option<u64>,
    /// Digest that the server promises, if it does.
    pub(super) digest: Option<Digest>,
}

impl Download {
    fn new(response: Response<Body>, offset: u64) -> Result<Self, Fault> {
        let headers = response.headers();
        let digest =
            ["x-linked-etag", "etag"].iter().find_map(|n| Digest::from_hex(text(headers, n)?));
        let (start, total) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = text(headers, "content-range").and_then(parse_range);
            range.filter(|(start, _)| *start == offset).ok_or_else(|| {
                Fault::Final("the hub answered with another range than it was asked for".into())
            })?
        } else {
            (0, response.body().content_length())
        };
        Ok(Self { start, total, digest, body: response.into_body() })
    }

    pub(super) fn reader(&mut self) -> impl Read + '_ {
        self.body.with_config().limit(u64::MAX).reader()
    }
}

/// `bytes 5-9/10` to where it starts and the size of the whole.
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Percent-encodes what may not stand in a path; slashes too, unless they separate folders.
pub(super) fn encode(text: &str, keep_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if keep_slashes => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A message that names the repository, and the file in it if there is one, for any fault.
pub(super) fn failed(id: &HubId, file: Option<&str>, fault: Fault) -> LmError {
    let reason = match fault {
        Fault::Local(error) => return error,
        Fault::Final(reason) => reason,
        Fault::Passing(reason) | Fault::Unreachable(reason) => {
            format!("{reason}; check the network and HF_ENDPOINT, and run again to go on from here")
        }
    };
    match file {
        Some(file) => LmError::Download { what: format!("{file} of {id}"), reason },
        None => LmError::Download {
            what: id.to_string(),
            reason: format!("{reason}; nor is there a file or directory of that name here"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{encode, parse_range};

    #[test]
    fn revisions_and_paths_are_encoded_for_an_address() {
        assert_eq!(encode("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encode("a b/ü.gguf", true), "a%20b/%C3%BC.gguf");
    }

    #[test]
    fn a_range_says_where_it_starts_and_how_much_there_is() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(parse_range("bytes */10"), None);
        assert_eq!(parse_range("rows 5-9/10"), None);
    }
}
