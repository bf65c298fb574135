//! What a hub answers to an upload. Unknown fields are left alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::hub::client::Fault;

pub(super) fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|e| Fault::Final(format!("the hub's answer cannot be read: {e}")))
}

#[derive(Deserialize)]
pub(super) struct Modes {
    pub(super) files: Vec<Mode>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mode {
    pub(super) path: String,
    upload_mode: String,
}

impl Mode {
    pub(super) fn is_large(&self) -> bool {
        self.upload_mode == "lfs"
    }
}

#[derive(Deserialize)]
pub(super) struct Objects {
    pub(super) objects: Vec<Object>,
}

#[derive(Deserialize)]
pub(super) struct Object {
    pub(super) oid: String,
    pub(super) actions: Option<Actions>,
}

#[derive(Deserialize)]
pub(super) struct Actions {
    pub(super) upload: Action,
    pub(super) verify: Option<Action>,
}

#[derive(Deserialize)]
pub(super) struct Action {
    pub(super) href: String,
    #[serde(default)]
    pub(super) header: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Committed {
    pub(super) commit_url: String,
}
