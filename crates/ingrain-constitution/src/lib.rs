//! Constitutions: who an assistant should be, as a typed, linted, composable file.
#![warn(missing_docs)]

mod composition;
mod constitution;
mod decode;
mod diagnostic;
mod emit;
mod error;
mod heldout;
mod interchange;
mod lint;
mod name;
mod near_miss;
mod node;
mod place;
mod prompts;
mod read;
#[cfg(feature = "schema")]
mod schema;
mod text;
mod words;

pub use composition::{
    Blend, Composed, Composition, CompositionError, Contribution, Omission, Part, PersonaConflict,
};
pub use constitution::{Assertion, BigFive, Constitution, Facet, Metadata};
pub use diagnostic::{Diagnostic, DiagnosticKind, Diagnostics, Location};
pub use error::ConstitutionError;
pub use heldout::HeldoutQuestions;
pub use interchange::{Format, Imported};
pub use lint::{Finding, LintConfig, Rule, Severity, lint};
pub use name::{InvalidName, PersonaName};
pub use place::{Place, SourceMap};
pub use prompts::{InteractionKind, PreferenceStance, PromptName, PromptSet, ReflectionTask, Wording};
pub use text::MAX_BYTES;
#[cfg(feature = "schema")]
pub use schema::json_schema;
