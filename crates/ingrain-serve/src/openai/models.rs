//! `/v1/models`.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::http::{Failure, Reply, json as reply};
use crate::{Engine, ModelCard};

pub(super) fn list(engine: &dyn Engine, created: u64) -> Value {
    let models: Vec<Value> = engine.models().iter().map(|card| describe(card, created)).collect();
    json!({ "object": "list", "data": models })
}

/// `id` as it stands in a path: clients write the slash of `org/name` as `%2F`.
pub(super) fn one(engine: &dyn Engine, id: &str, created: u64) -> Result<Reply, Failure> {
    let id = percent_decode_str(id).decode_utf8_lossy();
    match engine.models().iter().find(|card| card.id == id) {
        Some(card) => Ok(reply(&describe(card, created))),
        None => Err(Failure::refused(crate::Refusal::NoSuchModel)),
    }
}

fn describe(card: &ModelCard, created: u64) -> Value {
    json!({
        "id": card.id, "object": "model", "created": created, "owned_by": "ingrain",
        "max_model_len": card.context, "has_adapter": card.has_adapter,
    })
}
