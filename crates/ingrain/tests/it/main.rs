//! The pipeline from end to end on a tiny random model, the data stages alone, and the recipes.

mod audit;
mod compare;
mod data_run;
mod experiment;
mod grading;
mod labelled;
mod pipeline;
#[path = "../../../ingrain-chat/tests/support/provider.rs"]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod provider;
mod recipe;
mod score;
#[path = "../../../ingrain-chat/tests/support/server.rs"]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod server;
mod serving;
mod tiny;
