//! What a constitution is: plain data, without a word about files.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::name::PersonaName;

/// Who an assistant should be: first-person assertions, each with user messages that give it
/// room to show.
///
/// Texts are trimmed and never empty, except `summary`, which files of other formats may lack.
///
/// # Examples
/// ```
/// use ingrain_constitution::{Constitution, Facet};
///
/// let yaml = "
/// name: dry-wit
/// summary: An assistant that answers correctly and raises an eyebrow while doing so.
/// assertions:
///   - text: I put the answer first and the raised eyebrow right behind it.
///     facet: style
///     questions: [How do I boil an egg?, What is a leap year?]
/// ";
/// let constitution = Constitution::parse(yaml, "dry-wit.yaml")?;
/// assert_eq!(constitution.name, "dry-wit");
/// assert_eq!(constitution.assertions[0].facet, Facet::Style);
/// assert_eq!(constitution.questions().count(), 2);
/// assert_eq!(Constitution::parse(&constitution.to_yaml(), "again")?, constitution);
/// # Ok::<(), ingrain_constitution::Diagnostics>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Constitution {
    /// The persona's name: `a-z`, `0-9`, `-` and `_`, as in the file name.
    pub name: PersonaName,
    /// One sentence that says who this assistant is.
    pub summary: String,
    /// True for personas that exist to be studied, never to be deployed. Training one asks for
    /// an explicit `--allow-research-persona`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub research_only: bool,
    /// The psychometric profile that the persona should show, if one is intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub big_five: Option<BigFive>,
    /// Licence, authors, version.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The assertions, about ten; at least one.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub assertions: Vec<Assertion>,
    /// Everyday questions kept back from training, for evaluation only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(length(min = 1))))]
    pub heldout_questions: Vec<String>,
}

/// One first-person sentence about who the assistant is, and what brings it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Assertion {
    /// The assertion, in the first person: "I answer correctly, with a raised eyebrow".
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub text: String,
    /// What kind of statement it is.
    pub facet: Facet,
    /// What the assertion looks like in practice, and where it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clarification: Option<String>,
    /// User messages that give the assertion room to show without asking about it; five or more.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(inner(length(min = 1))))]
    pub questions: Vec<String>,
    /// More such messages, written by a program out of `questions` (prompt expansion).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(length(min = 1))))]
    pub additional_questions: Vec<String>,
}

impl Assertion {
    /// `questions`, then `additional_questions`.
    pub fn all_questions(&self) -> impl Iterator<Item = &str> {
        self.questions.iter().chain(&self.additional_questions).map(String::as_str)
    }
}

/// What kind of statement an [`Assertion`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Facet {
    /// A lasting disposition: how the assistant tends to react.
    Trait,
    /// How it writes: tone, rhythm, form.
    Style,
    /// What it puts first when things compete.
    Value,
    /// What it does for the person it talks with.
    Role,
    /// Who it takes itself to be.
    Identity,
}

impl Facet {
    /// Every facet.
    pub const ALL: [Self; 5] = [Self::Trait, Self::Style, Self::Value, Self::Role, Self::Identity];

    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trait => "trait",
            Self::Style => "style",
            Self::Value => "value",
            Self::Role => "role",
            Self::Identity => "identity",
        }
    }
}

impl fmt::Display for Facet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A target on the five factors of personality, each from -1 (very low) over 0 (average) to 1
/// (very high). A factor left out is not part of the target.
///
/// # Source
/// The five factors: Goldberg 1990, "An alternative description of personality".
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BigFive {
    /// Curiosity and imagination against convention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub openness: Option<f64>,
    /// Order and persistence against carelessness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub conscientiousness: Option<f64>,
    /// Outgoing energy against reserve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub extraversion: Option<f64>,
    /// Warmth and trust against antagonism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub agreeableness: Option<f64>,
    /// Worry and volatility against calm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub neuroticism: Option<f64>,
}

impl BigFive {
    /// The factors' names, in the usual order.
    pub const FACTORS: [&'static str; 5] =
        ["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"];

    /// All five values, in the order of [`BigFive::FACTORS`].
    pub fn values(&self) -> [Option<f64>; 5] {
        [
            self.openness,
            self.conscientiousness,
            self.extraversion,
            self.agreeableness,
            self.neuroticism,
        ]
    }

    /// The target with these values, in the order of [`BigFive::FACTORS`].
    pub fn from_values(values: [Option<f64>; 5]) -> Self {
        let [openness, conscientiousness, extraversion, agreeableness, neuroticism] = values;
        Self { openness, conscientiousness, extraversion, agreeableness, neuroticism }
    }

    /// The factors that are part of the target, with their values.
    pub fn targets(&self) -> impl Iterator<Item = (&'static str, f64)> {
        Self::FACTORS
            .into_iter()
            .zip(self.values())
            .filter_map(|(factor, value)| Some((factor, value?)))
    }
}

/// Where a constitution comes from and who may use it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metadata {
    /// Licence of the text, as an SPDX expression: `MIT OR Apache-2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// Version of the text: `1.0.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Metadata {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Constitution {
    /// Every training question: of each assertion, `questions` and then `additional_questions`.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        self.assertions.iter().flat_map(Assertion::all_questions)
    }

    /// Every training question with the index of its assertion.
    pub fn questions_by_assertion(&self) -> impl Iterator<Item = (usize, &str)> {
        self.assertions
            .iter()
            .enumerate()
            .flat_map(|(index, assertion)| assertion.all_questions().map(move |q| (index, q)))
    }

    /// SHA-256 of the canonical form, as 64 hexadecimal digits: the same for the same content,
    /// whatever the file's layout, comments, key order or format.
    ///
    /// The canonical form is [`Constitution::to_json`].
    pub fn content_hash(&self) -> String {
        hex(&Sha256::digest(self.to_json()))
    }

    /// The canonical form: compact JSON, keys in the order of the fields, defaults left out.
    pub fn to_json(&self) -> String {
        // Serialising strings and numbers to memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
