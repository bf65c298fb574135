//! One HTTP exchange: bounded in time and size, with every way to fail named.

use std::io::Write;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::config::OpenAiConfig;
use super::failure::Failure;
use super::reply::{error_message, excerpt};
use super::retry::retry_after;
use super::secret::Secret;
use crate::ChatError;

/// Idle connections are dropped before common servers do it (5 s), so that a request rarely meets a
/// closing one.
const IDLE: Duration = Duration::from_secs(4);
/// What is read of an error's body.
const ERROR_BYTES: usize = 64 << 10;

/// Connections, kept and reused.
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    limit: usize,
}

/// What is asked.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) key: Option<Secret>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Http {
    /// Certificates of the system are read only where an endpoint needs them.
    pub(crate) fn new(config: &OpenAiConfig, needs_tls: bool) -> Result<Self, ChatError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(seconds(config.connect_timeout_secs)));
        let builder = HttpsConnectorBuilder::new();
        let builder = if needs_tls {
            builder.with_provider_and_native_roots(ring::default_provider()).map_err(|e| {
                ChatError::Settings(format!("no root certificates for https on this system ({e})"))
            })?
        } else {
            builder.with_tls_config(no_roots()?)
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        let timeout = seconds(config.request_timeout_secs);
        Ok(Self { client, timeout, limit: config.max_reply_bytes })
    }

    /// The body of a success that is JSON.
    pub(crate) async fn json(&self, call: Call) -> Result<Bytes, Failure> {
        self.within(async {
            let response = self.send(call).await?;
            is_plain_json(response.headers())?;
            collect(response.into_body(), self.limit).await
        })
        .await
    }

    /// The body of a success, whatever it is.
    pub(crate) async fn bytes(&self, call: Call) -> Result<Bytes, Failure> {
        self.within(async { collect(self.send(call).await?.into_body(), self.limit).await }).await
    }

    /// Writes the body of a success to `out` as it comes, however large.
    pub(crate) async fn download(&self, call: Call, out: &mut impl Write) -> Result<(), Failure> {
        self.within(async {
            let mut body = self.send(call).await?.into_body();
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.map_err(broken)?.into_data() {
                    out.write_all(&data).map_err(|e| {
                        Failure::Broken(format!("it could not be written down: {e}"))
                    })?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn within<T>(
        &self,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = |_| Err(Failure::TimedOut { secs: self.timeout.as_secs_f64() });
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(late)
    }

    async fn send(&self, call: Call) -> Result<Response<Incoming>, Failure> {
        let key = call.key.clone();
        let sent = self.client.request(call.into_request()?).await;
        let response = sent.map_err(|e| match e.is_connect() {
            true => Failure::Connect(causes(&e)),
            false => Failure::Broken(causes(&e)),
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let body = collect(body, ERROR_BYTES).await.unwrap_or_default();
        Err(refusal(head.status, &head.headers, &body, key.as_ref()))
    }
}

impl Call {
    fn into_request(self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut builder = Request::builder()
            .method(self.method)
            .uri(self.uri)
            .header(USER_AGENT, concat!("ingrain/", env!("CARGO_PKG_VERSION")));
        if !self.content_type.is_empty() {
            builder = builder.header(CONTENT_TYPE, self.content_type);
        }
        if let Some(Ok(bearer)) = self.key.as_ref().map(Secret::bearer) {
            builder = builder.header(AUTHORIZATION, bearer);
        }
        builder.body(Full::new(self.body)).map_err(|e| Failure::Malformed(e.to_string()))
    }
}

/// A TLS configuration for clients that will not use it.
fn no_roots() -> Result<ClientConfig, ChatError> {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|e| ChatError::Settings(format!("TLS cannot be set up ({e})")))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn is_plain_json(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or("?").to_ascii_lowercase());
    if let Some(encoding) = text(CONTENT_ENCODING).filter(|e| e != "identity") {
        return Err(Failure::Malformed(format!(
            "it is encoded as {encoding}, which nobody asked for"
        )));
    }
    match text(CONTENT_TYPE) {
        // Some servers do not say; the parser will.
        None => Ok(()),
        Some(kind) => {
            let kind = kind.split(';').next().unwrap_or("").trim();
            let json = kind == "application/json" || kind.ends_with("+json");
            if json { Ok(()) } else { Err(Failure::ContentType(excerpt(kind))) }
        }
    }
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Failure::TooLarge { limit });
    }
    let mut parts: Vec<Bytes> = Vec::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        size += data.len();
        if size > limit {
            return Err(Failure::TooLarge { limit });
        }
        parts.push(data);
    }
    Ok(match parts.len() {
        1 => parts.swap_remove(0),
        _ => parts.concat().into(),
    })
}

/// A status that is no success.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], key: Option<&Secret>) -> Failure {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error =
        json.as_ref().map(|json| json.get("error").or_else(|| json.get("detail")).unwrap_or(json));
    let message = error.map_or_else(|| excerpt(&String::from_utf8_lossy(body)), error_message);
    let message = key.map_or(message.clone(), |key| key.redact(&message));
    let retry_after = retry_after(headers);
    let code = error.and_then(|e| e.get("code")).and_then(Value::as_str);
    match status {
        _ if code == Some("insufficient_quota") => Failure::QuotaUsedUp(message),
        StatusCode::TOO_MANY_REQUESTS => Failure::RateLimited { retry_after, message },
        _ => Failure::Status { code: status.as_u16(), retry_after, message },
    }
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Broken(causes(&error))
}

/// An error and its causes in one line, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        next = cause.source();
    }
    line
}

pub(crate) fn seconds(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX)
}
