//! Connections, requests and replies, and who may ask.

mod body;
mod guard;
mod listener;
mod reply;
mod stream;

pub(crate) use body::read;
pub(crate) use guard::Guard;
pub(crate) use listener::{Listener, Site};
pub(crate) use reply::{Body, Failure, Reply, asset, json};
pub(crate) use stream::{EventStream, Writer};
