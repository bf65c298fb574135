//! Constitutions in the formats of others.
//!
//! | Format | Read | Write | What it holds |
//! |---|---|---|---|
//! | [`Format::Yaml`] | yes | yes | everything |
//! | [`Format::JsonTemplate`] | yes | yes | a list of `{trait, questions, clarification?}` |
//! | [`Format::FewShotJsonl`] | yes | yes | the same, one a line, with `additional_questions` |
//! | [`Format::Markdown`] | yes | no | a list of principles with headings |
//! | [`Format::PlainText`] | yes | no | a principle a line or paragraph |
//!
//! The two JSON formats are those of the reference implementation of open character training,
//! whose hand-written files carry `.txt`. What they have no place for (facets other than `trait`,
//! summary, target, metadata, held-out questions) is written under keys that its scripts do not
//! look at, so nothing is lost either way.

mod json;
mod lists;

use std::{fmt, path::Path};

use crate::{
    constitution::{Constitution, Facet},
    diagnostic::{DiagnosticKind, Diagnostics, Location},
    error::ConstitutionError,
    name::PersonaName,
    place::SourceMap,
    text::{decode_utf8, read_bounded},
};

/// A file format for constitutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Ours.
    Yaml,
    /// One JSON list of `{trait, questions, clarification?}`.
    JsonTemplate,
    /// A JSON object a line: `{trait, questions, additional_questions, clarification?}`.
    FewShotJsonl,
    /// Markdown whose list items (or paragraphs) are assertions.
    Markdown,
    /// Text whose lines (or paragraphs) are assertions.
    PlainText,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "YAML constitution",
            Self::JsonTemplate => "JSON template",
            Self::FewShotJsonl => "few-shot JSONL",
            Self::Markdown => "Markdown list",
            Self::PlainText => "plain-text list",
        })
    }
}

impl Format {
    /// The format that a file name asks for, where its ending decides.
    pub fn of_path(path: impl AsRef<Path>) -> Option<Self> {
        let extension = path.as_ref().extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::JsonTemplate),
            "jsonl" | "ndjson" => Some(Self::FewShotJsonl),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }

    /// The format of a text: by its content where that is JSON, then by the name of its file,
    /// else plain text.
    pub fn detect(path: impl AsRef<Path>, text: &str) -> Self {
        let named = Self::of_path(path);
        if named == Some(Self::Yaml) {
            return Self::Yaml;
        }
        let start = text.trim_start();
        let first_line = start.lines().next().unwrap_or_default().trim_end();
        if start.starts_with('{') && first_line.ends_with('}') {
            Self::FewShotJsonl
        } else if start.starts_with(['[', '{']) && named != Some(Self::Markdown) {
            Self::JsonTemplate
        } else {
            named.unwrap_or(Self::PlainText)
        }
    }

    /// Reads a text in this format. `name` is used where the format has no place for one.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn parse(
        self,
        text: &str,
        source: &str,
        name: &PersonaName,
    ) -> Result<Imported, Diagnostics> {
        let text = decode_utf8(text.as_bytes(), source)?;
        let parsed = match self {
            Self::Yaml => {
                let (constitution, map) = Constitution::parse_with_locations(text, source)?;
                Parsed { constitution, map, facets_given: true, notes: Vec::new() }
            }
            Self::JsonTemplate => json::parse_template(text, source, name)?,
            Self::FewShotJsonl => json::parse_lines(text, source, name)?,
            Self::Markdown => lists::parse(text, source, name, true)?,
            Self::PlainText => lists::parse(text, source, name, false)?,
        };
        let Parsed { constitution, map, facets_given, mut notes } = parsed;
        notes.extend(missing(&constitution, facets_given));
        Ok(Imported { constitution, map, format: self, missing: notes })
    }

    /// Writes a constitution in this format, or `None` for a format that is only read.
    ///
    /// Reading the text again with the constitution's own name gives the same constitution.
    pub fn write(self, constitution: &Constitution) -> Option<String> {
        match self {
            Self::Yaml => Some(constitution.to_yaml()),
            Self::JsonTemplate => Some(json::write_template(constitution)),
            Self::FewShotJsonl => Some(json::write_lines(constitution)),
            Self::Markdown | Self::PlainText => None,
        }
    }
}

/// What a reader of one format gives back.
struct Parsed {
    constitution: Constitution,
    map: SourceMap,
    /// Whether the file names facets.
    facets_given: bool,
    /// What was in the file and is not in the constitution.
    notes: Vec<String>,
}

/// A constitution read from any format, and what its file did not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The constitution.
    pub constitution: Constitution,
    /// Where its parts stand in the file.
    pub map: SourceMap,
    /// The format that the file is in.
    pub format: Format,
    /// What is missing and should be written by a person, or had no place and was left out, in
    /// sentences; empty for a file that says everything.
    pub missing: Vec<String>,
}

impl Imported {
    /// Reads a file in the format that its content and name show. Where the format has no place
    /// for a name, the file's own is used.
    ///
    /// # Errors
    /// [`ConstitutionError::Read`] when the file cannot be read, [`ConstitutionError::Invalid`]
    /// with every problem when it can.
    ///
    /// # Examples
    /// ```
    /// use ingrain_constitution::{Format, Imported};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("dry-wit.txt");
    /// std::fs::write(&path, r#"[{"trait": "I stay dry.", "questions": ["Why?"]}]"#)?;
    /// let imported = Imported::from_path(&path)?;
    /// assert_eq!(imported.format, Format::JsonTemplate);
    /// assert_eq!(imported.constitution.name, "dry-wit");
    /// assert_eq!(imported.missing[2], "1 assertion has no clarification: 1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConstitutionError> {
        let path = path.as_ref();
        let bytes = read_bounded(path)?;
        let source = path.display().to_string();
        let text = decode_utf8(&bytes, &source)?;
        Ok(Format::detect(path, text).parse(text, &source, &name_of_file(path))?)
    }
}

/// The name that a file gives its constitution.
pub(crate) fn name_of_file(path: &Path) -> PersonaName {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    PersonaName::slug(stem).unwrap_or_else(PersonaName::placeholder)
}

fn missing(constitution: &Constitution, facets_given: bool) -> Vec<String> {
    let mut missing = Vec::new();
    if constitution.summary.is_empty() {
        missing.push("there is no summary".into());
    }
    let all_traits = constitution.assertions.iter().all(|a| a.facet == Facet::Trait);
    if !facets_given && all_traits {
        missing.push("no assertion has a facet: all are read as `trait`".into());
    }
    let lacking = |what: &str, lacks: &dyn Fn(usize) -> bool| {
        let which: Vec<String> = (0..constitution.assertions.len())
            .filter(|index| lacks(*index))
            .map(|index| (index + 1).to_string())
            .collect();
        let (count, which) = (which.len(), which.join(", "));
        match count {
            0 => None,
            1 => Some(format!("1 assertion has no {what}: {which}")),
            _ => Some(format!("{count} assertions have no {what}: {which}")),
        }
    };
    let assertions = &constitution.assertions;
    missing.extend(lacking("clarification", &|index| assertions[index].clarification.is_none()));
    missing.extend(lacking("questions", &|index| assertions[index].all_questions().count() == 0));
    missing
}

/// A list of diagnostics with one entry: the text holds no assertion.
fn nothing_found(source: &str, expected: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new(source);
    diagnostics.push(DiagnosticKind::Empty, Location::START, "no assertions", expected, None);
    diagnostics
}
