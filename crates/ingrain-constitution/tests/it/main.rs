//! Integration tests of `ingrain-constitution`.

mod composition;
mod diagnostics;
mod hostile;
mod interchange;
mod lint_examples;
mod personas;
mod prompts;
mod properties;
#[cfg(feature = "schema")]
mod schema;
mod speed;
mod teacher;
