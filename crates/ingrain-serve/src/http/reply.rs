//! Replies, with the headers that every one of them carries.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::Refusal;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(crate) type Reply = Response<Body>;

/// Scripts and styles come from this server, as files; nothing is written into a page as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A request that is answered with an error, in the form that OpenAI's clients read.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
    param: Option<&'static str>,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), param: None }
    }

    pub(crate) fn invalid(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message) }
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "wrong HTTP method")
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the request's body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    pub(crate) fn too_slow() -> Self {
        let message = "the request did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", message)
    }

    pub(crate) fn busy() -> Self {
        let message = "too many requests are at work or waiting; try again later";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
    }

    pub(crate) fn timed_out(secs: u64) -> Self {
        let message = format!("the reply was not complete within {secs} seconds");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout_error", message)
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let unavailable = |message: &str| {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message.to_owned())
        };
        match refusal {
            Refusal::NoSuchModel => {
                Self::not_found("there is no model of that name; see /v1/models")
            }
            Refusal::Invalid(message) => Self::invalid(None, message),
            Refusal::Stopping => unavailable("the server is stopping"),
            Refusal::Broken(message) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
            }
        }
    }

    /// The body alone.
    pub(crate) fn to_json(&self) -> Value {
        let Self { kind, message, param, status } = self;
        json!({ "error": { "message": message, "type": kind, "param": param, "code": status.as_u16() } })
    }

    pub(crate) fn into_reply(self) -> Reply {
        let mut reply = text(self.status, "application/json", self.to_json().to_string());
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        reply
    }
}

pub(crate) fn json(value: &Value) -> Reply {
    text(StatusCode::OK, "application/json", value.to_string())
}

/// A file of a page.
pub(crate) fn asset(content_type: &'static str, content: &'static str) -> Reply {
    text(StatusCode::OK, content_type, content)
}

fn text(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Reply {
    let mut reply = with_headers(content_type, Full::new(content.into()).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

pub(super) fn with_headers(content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    let headers: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}
