//! The body of a request, bounded in size and time.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use serde::de::DeserializeOwned;

use super::Failure;
use crate::Limits;

/// The body as the JSON that it must be.
pub(crate) async fn read<T: DeserializeOwned>(
    request: Request<Incoming>,
    limits: &Limits,
) -> Result<T, Failure> {
    let body = bytes(request.into_body(), limits).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Failure::invalid(None, format!("the body is not a request: {error}")))
}

async fn bytes(body: Incoming, limits: &Limits) -> Result<Bytes, Failure> {
    let limit = limits.max_body_bytes;
    let collect = Limited::new(body, limit).collect();
    let patience = Duration::from_secs(limits.receive_secs);
    match tokio::time::timeout(patience, collect).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::too_large(limit)),
        Ok(Err(_)) => Err(Failure::invalid(None, "the body broke off")),
        Err(_) => Err(Failure::too_slow()),
    }
}
