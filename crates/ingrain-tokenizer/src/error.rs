//! What can go wrong between text, tokens and templates.

use std::path::PathBuf;

use ingrain_chat::Role;
use ingrain_gguf::GgufError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file of the tokenizer cannot be read.
    #[error("{}: cannot read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file of the tokenizer holds something else than it should.
    #[error("{}: {field}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The GGUF file cannot give what the tokenizer needs.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The model has no chat template.
    #[error(
        "{}: there is no chat template; use a model made for chat, or raw text without a template",
        path.display()
    )]
    NoTemplate {
        /// Where the tokenizer came from.
        path: PathBuf,
    },
    /// The chat template does not compile, or fails on these messages.
    #[error("chat template of {}: {problem}", path.display())]
    Template {
        /// Where the template came from.
        path: PathBuf,
        /// What the template engine says, with the line.
        problem: String,
    },
    /// The chat template refuses these messages (`raise_exception`).
    #[error("chat template of {} refuses the messages: {message}", path.display())]
    TemplateRefused {
        /// Where the template came from.
        path: PathBuf,
        /// The template's own words.
        message: String,
    },
    /// The chat template does more work or writes more text than any sane one would.
    #[error("chat template of {} was stopped: {problem}", path.display())]
    TemplateLimit {
        /// Where the template came from.
        path: PathBuf,
        /// Which limit it hit.
        problem: String,
    },
    /// The options of a render contradict each other or the messages.
    #[error("cannot render: {0}")]
    InvalidOptions(String),
    /// Text cannot be turned into tokens.
    #[error("cannot tokenize: {0}")]
    Encode(String),
    /// Tokens cannot be turned into text.
    #[error("cannot decode: {0}")]
    Decode(String),
    /// The tokens of a turn cannot be told apart from those around it.
    #[error("cannot locate the tokens of message {index} ({}): {problem}", role_name(*role))]
    Turn {
        /// Index of the message, counted from 0.
        index: usize,
        /// Who speaks in it.
        role: Role,
        /// Why not.
        problem: String,
    },
}

/// The name of a role in a chat template.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
