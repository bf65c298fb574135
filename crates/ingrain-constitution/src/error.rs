//! The one error type of the crate.

use std::path::PathBuf;

use crate::{composition::CompositionError, diagnostic::Diagnostics, name::PersonaName};

/// Everything that can go wrong between a file and a [`Constitution`](crate::Constitution), or
/// between a [`Constitution`](crate::Constitution) and a prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConstitutionError {
    /// The file could not be opened or read.
    #[error("{}: cannot be read ({source}); check the path and its permissions", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },

    /// The text was read and has problems, all of them listed.
    #[error("{0}")]
    Invalid(#[from] Diagnostics),

    /// A prompt template does not compile, uses an unknown variable, or does too much work.
    #[error("{origin}: {message}")]
    Template {
        /// The template file, with the line where known: `prompts/teacher_system.jinja:3`.
        origin: String,
        /// What is wrong with it.
        message: String,
    },

    /// A folder of prompt templates holds a file that no prompt uses.
    #[error("{}: no prompt is called `{found}`; {}", dir.display(), expected_names(.suggestion, .expected))]
    UnknownTemplate {
        /// The folder.
        dir: PathBuf,
        /// The file found there.
        found: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
        /// All names, separated by commas.
        expected: String,
    },

    /// A text names no prompt.
    #[error("no prompt is called `{found}`; {}", expected_names(.suggestion, .expected))]
    UnknownPrompt {
        /// The text.
        found: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
        /// All names, separated by commas.
        expected: String,
    },

    /// A composition names a persona that no folder has.
    #[error("{}: no persona is called `{found}`; {}", shown(.folders), expected_names(.suggestion, .known))]
    UnknownPersona {
        /// The folders that were searched.
        folders: Vec<PathBuf>,
        /// The name in the composition.
        found: String,
        /// The persona that was probably meant.
        suggestion: Option<String>,
        /// All personas of the folders, separated by commas.
        known: String,
    },

    /// A composition holds one persona twice, by two paths.
    #[error("the persona `{name}` is in the composition twice; add its weights up")]
    RepeatedPersona {
        /// The persona.
        name: PersonaName,
    },

    /// A composition is not written as one.
    #[error(transparent)]
    Composition(#[from] CompositionError),
}

fn expected_names(suggestion: &Option<String>, expected: &str) -> String {
    match suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None if expected.is_empty() => "there is none".into(),
        None => format!("expected one of {expected}"),
    }
}

fn shown(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
