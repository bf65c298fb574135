//! Replies, and who may ask.

mod guard;
mod reply;
mod stream;

pub(crate) use guard::Guard;
pub(crate) use reply::{Body, Failure, Reply, asset, json};
pub(crate) use stream::{EventStream, Writer};
