//! Which part of a constitution something is about, and where that part stands in its file.

use std::{collections::HashMap, fmt};

use crate::diagnostic::Location;

/// A part of a constitution. Indices count from 0, the display form from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// The constitution as a whole.
    Constitution,
    /// The `summary`.
    Summary,
    /// The `metadata`.
    Metadata,
    /// The text of an assertion.
    Assertion(usize),
    /// The clarification of an assertion.
    Clarification(usize),
    /// A question of an assertion, counted through `questions` and `additional_questions`.
    Question {
        /// The assertion.
        assertion: usize,
        /// The question in it.
        question: usize,
    },
    /// A held-out question.
    HeldoutQuestion(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constitution => write!(f, "constitution"),
            Self::Summary => write!(f, "summary"),
            Self::Metadata => write!(f, "metadata"),
            Self::Assertion(index) => write!(f, "assertion {}", index + 1),
            Self::Clarification(index) => write!(f, "clarification of assertion {}", index + 1),
            Self::Question { assertion, question } => {
                write!(f, "assertion {}, question {}", assertion + 1, question + 1)
            }
            Self::HeldoutQuestion(index) => write!(f, "held-out question {}", index + 1),
        }
    }
}

/// Where the parts of a constitution stand in the file that it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceMap {
    source: String,
    locations: HashMap<Place, Location>,
}

impl SourceMap {
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), locations: HashMap::new() }
    }

    pub(crate) fn insert(&mut self, place: Place, location: Location) {
        self.locations.insert(place, location);
    }

    /// The file, or the name that the caller gave the text.
    pub fn source_name(&self) -> &str {
        &self.source
    }

    /// The location of a part; of the part that contains it where the part itself is absent.
    pub fn locate(&self, place: Place) -> Location {
        let found = |place| self.locations.get(&place).copied();
        let outer = match place {
            Place::Clarification(index) | Place::Question { assertion: index, .. } => {
                found(Place::Assertion(index))
            }
            _ => None,
        };
        found(place).or(outer).unwrap_or(Location::START)
    }
}
