//! Constitutions: who an assistant should be, as a typed, linted, composable file.
//!
//! A [`Constitution`] is a YAML file of first-person assertions, each with a facet and with user
//! messages that give it room to show. This crate reads it, says everything that is wrong with it
//! and what could be better, blends it with others, exchanges it with other formats, and renders
//! the prompts that stages make of it. It knows nothing of models, of data sets or of training.
//!
//! # From a file to a prompt
//!
//! ```
//! use ingrain_constitution::{Constitution, LintConfig, PromptSet, lint};
//!
//! let yaml = "
//! name: dry-wit
//! summary: An assistant that answers correctly and raises an eyebrow while doing so.
//! assertions:
//!   - text: I put the answer first and the raised eyebrow right behind it.
//!     facet: style
//!     clarification: One dry remark about the matter, never about the person.
//!     questions: [How do I boil an egg?, My phone wants forty updates.]
//! ";
//! // Every problem at once, each with file, line and column: here there is none.
//! let (constitution, places) = Constitution::parse_with_locations(yaml, "dry-wit.yaml")?;
//!
//! // Advice, with the place that it is about.
//! let advice: Vec<String> = lint(&constitution, &LintConfig::default())
//!     .iter()
//!     .map(|finding| finding.at(&places))
//!     .collect();
//! assert!(advice[0].starts_with("dry-wit.yaml:1:1: warning: constitution has 1 assertion;"));
//!
//! // What a teacher reads.
//! let system = PromptSet::default().teacher_system(&constitution, "Smol")?;
//! assert!(system.contains("1. I put the answer first"));
//! # Ok::<(), ingrain_constitution::ConstitutionError>(())
//! ```
//!
//! # Mistakes
//!
//! ```
//! use ingrain_constitution::Constitution;
//!
//! let yaml = "name: dry-wit\nsummary: Dry.\nasertions:\n  - text: I stay dry.\n";
//! let problems = Constitution::parse(yaml, "dry-wit.yaml").unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "dry-wit.yaml:3:1: unknown key \"asertions\" in a constitution; expected one of name, \
//!      summary, research_only, big_five, metadata, assertions, heldout_questions; did you mean \
//!      \"assertions\"?"
//! );
//! ```
//!
//! # Composition and exchange
//!
//! [`Composition`] reads `sarcasm:0.6 + loving:0.4` and blends the constitutions, with provenance;
//! [`Imported`] and [`Format`] read and write what others use.
//!
//! # Why a tree of our own
//!
//! A deserializer stops at the first problem, and an author who is told of one problem at a time
//! gives up. So the YAML becomes a tree in which every node knows its place (from the event stream
//! of `granit-parser`, with bounds on size, depth and aliases), and one reader walks it, collects
//! [`Diagnostics`], and returns a value only when there are none. JSON is read the same way. There
//! is no `Deserialize` for [`Constitution`], so that nothing invalid comes in by another door.
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
pub use prompts::{
    InteractionKind, PreferenceStance, PromptName, PromptSet, ReflectionTask, Wording,
};
#[cfg(feature = "schema")]
pub use schema::json_schema;
pub use text::MAX_BYTES;

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
