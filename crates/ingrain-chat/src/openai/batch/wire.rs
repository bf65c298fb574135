//! The lines of a batch's input and results.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::openai::DetailedReply;
use crate::openai::failure::Failure;
use crate::openai::reply::error_message;
use crate::{ChatError, ChatReply};

/// One request of a batch's input file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct RequestLine {
    pub(super) custom_id: String,
    method: &'static str,
    url: &'static str,
    body: Map<String, Value>,
}

impl RequestLine {
    pub(super) fn new(custom_id: String, body: Map<String, Value>) -> Self {
        Self { custom_id, method: "POST", url: "/v1/chat/completions", body }
    }
}

/// One line of a batch's output or error file.
#[derive(Debug, Deserialize)]
pub(super) struct ResultLine {
    pub(super) custom_id: String,
    response: Option<Response>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Response {
    status_code: u16,
    body: Option<Value>,
}

impl ResultLine {
    pub(super) fn outcome(&self) -> Result<ChatReply, Failure> {
        if let Some(error) = self.error.as_ref().filter(|error| !error.is_null()) {
            return Err(Failure::ErrorBody(error_message(error)));
        }
        let nothing = || Failure::MissingFromBatch("its line is empty".to_owned());
        let response = self.response.as_ref().ok_or_else(nothing)?;
        let body = response.body.as_ref().unwrap_or(&Value::Null);
        if response.status_code != 200 {
            let message = error_message(body.get("error").unwrap_or(body));
            let code = response.status_code;
            return Err(Failure::Status { code, retry_after: None, message });
        }
        let bytes = serde_json::to_vec(body).map_err(|e| Failure::Malformed(e.to_string()))?;
        DetailedReply::parse(&bytes).map(|detailed| detailed.reply)
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ChatError> {
    serde_json::to_vec(value)
        .map_err(|e| ChatError::InvalidRequest(format!("it has no JSON form: {e}")))
}
