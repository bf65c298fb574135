//! What a server can do wrong, by name.

use std::time::Duration;

/// Why one attempt brought no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No connection came about.
    #[error("cannot connect ({0})")]
    Connect(String),
    /// The connection broke before the reply was complete.
    #[error("the connection broke before the reply was complete ({0})")]
    Broken(String),
    /// The reply was not complete in time.
    #[error("no complete reply within {secs} s")]
    TimedOut {
        /// The limit.
        secs: f64,
    },
    /// 429: too many requests or tokens.
    #[error("status 429, too many requests{}: {message}", asked(*retry_after))]
    RateLimited {
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
        /// What it said.
        message: String,
    },
    /// Any other status that is no success.
    #[error("status {code}{}: {message}", asked(*retry_after))]
    Status {
        /// HTTP status.
        code: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
        /// What it said.
        message: String,
    },
    /// A success that holds an error.
    #[error("status 200 with an error: {0}")]
    ErrorBody(String),
    /// A success that is no JSON by its own account.
    #[error("the reply's content type is {0:?}, not application/json")]
    ContentType(String),
    /// A success that cannot be read.
    #[error("the reply cannot be read ({0})")]
    Malformed(String),
    /// A success without a choice.
    #[error("the reply holds no choice")]
    NoChoices,
    /// The reply is larger than the limit.
    #[error("the reply is larger than {limit} bytes")]
    TooLarge {
        /// `max_reply_bytes`.
        limit: usize,
    },
    /// The provider's filter kept the reply back.
    #[error("the provider's content filter kept the reply back")]
    ContentFilter,
    /// The account behind the key is used up.
    #[error("the account's quota is used up: {0}")]
    QuotaUsedUp(String),
    /// A batch ended without a line for this request.
    #[error("the batch ended without a result for this request ({0})")]
    MissingFromBatch(String),
}

impl Failure {
    /// A short name to count by: `rate_limited`, `malformed`, ...
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Broken(_) => "broken",
            Self::TimedOut { .. } => "timed_out",
            Self::RateLimited { .. } => "rate_limited",
            Self::Status { .. } => "status",
            Self::ErrorBody(_) => "error_body",
            Self::ContentType(_) => "content_type",
            Self::Malformed(_) => "malformed",
            Self::NoChoices => "no_choices",
            Self::TooLarge { .. } => "too_large",
            Self::ContentFilter => "content_filter",
            Self::QuotaUsedUp(_) => "quota_used_up",
            Self::MissingFromBatch(_) => "missing_from_batch",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { code, .. } => {
                matches!(code, 408 | 409 | 425 | 500 | 502..=504 | 520..=599)
            }
            Self::ContentFilter | Self::QuotaUsedUp(_) | Self::MissingFromBatch(_) => false,
            _ => true,
        }
    }

    /// Whether the server, rather than the request, seems to be in trouble.
    pub(crate) fn blames_the_server(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::TimedOut { .. } => true,
            Self::RateLimited { .. } => true,
            Self::Status { code, .. } => *code >= 500,
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Status { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}

fn asked(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |d| format!(", retry after {} s", d.as_secs_f64()))
}
