//! What is wrong with a text, and where: every problem, not the first.
//!
//! Knows nothing about constitutions; a reader pushes [`Diagnostic`]s into [`Diagnostics`].

use std::fmt;

/// A place in a text.
///
/// # Units
/// Lines and columns count from 1; columns count characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Location {
    /// The start of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The kind of a [`Diagnostic`], for programs that sort them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiagnosticKind {
    /// The text is not well-formed YAML (or JSON).
    Syntax,
    /// The text is larger, deeper or more repetitive than any constitution needs to be.
    Limit,
    /// The text is not UTF-8.
    Encoding,
    /// A key that the format does not have.
    UnknownKey,
    /// A key that the format requires.
    MissingKey,
    /// A key given twice.
    DuplicateKey,
    /// A key that is not a piece of text.
    KeyType,
    /// A mapping where a list was expected, and the like.
    WrongType,
    /// The right type with a value outside its range.
    InvalidValue,
    /// Nothing where something is needed.
    Empty,
}

/// One problem: where it is, what was found there, what was expected, and the way out.
///
/// Displays as one line:
/// `personas/x.yaml:14:5: unknown key "asertions"; expected one of ...; did you mean "assertions"?`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, or the name that the caller gave the text.
    pub source: String,
    /// The place in it.
    pub location: Location,
    /// The kind of problem.
    pub kind: DiagnosticKind,
    /// What was found.
    pub found: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do about it, when there is something better to say than `expected`.
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; expected {}", self.source, self.location, self.found, self.expected)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

/// All problems of one text, in the order of their places.
///
/// At most [`Diagnostics::MAX_KEPT`] are kept; the others are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    source: String,
    list: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// How many problems of one text are kept.
    pub const MAX_KEPT: usize = 100;

    /// An empty list for the text called `source`.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), list: Vec::new(), omitted: 0 }
    }

    /// The file, or the name that the caller gave the text.
    pub fn source_name(&self) -> &str {
        &self.source
    }

    /// The problems that were kept.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Iterates over the problems that were kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many problems there are, with those beyond [`Diagnostics::MAX_KEPT`].
    pub fn len(&self) -> usize {
        self.list.len() + self.omitted
    }

    /// Whether the text has no problem.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn push(
        &mut self,
        kind: DiagnosticKind,
        location: Location,
        found: impl Into<String>,
        expected: impl Into<String>,
        suggestion: Option<String>,
    ) {
        if self.list.len() >= Self::MAX_KEPT {
            self.omitted += 1;
            return;
        }
        self.list.push(Diagnostic {
            source: self.source.clone(),
            location,
            kind,
            found: found.into(),
            expected: expected.into(),
            suggestion,
        });
    }

    /// Takes over the problems of another list.
    pub(crate) fn append(&mut self, other: Self) {
        let room = Self::MAX_KEPT - self.list.len().min(Self::MAX_KEPT);
        self.omitted += other.omitted + other.list.len().saturating_sub(room);
        self.list.extend(other.list.into_iter().take(room));
    }

    /// `Ok(value)` when nothing was reported, otherwise the list sorted by place.
    pub(crate) fn into_result<T>(mut self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => {
                self.list.sort_by_key(|diagnostic| diagnostic.location);
                Err(self)
            }
        }
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n{}: and {} more problems", self.source, self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// `text` in quotes, cut to a length that fits a message.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}
