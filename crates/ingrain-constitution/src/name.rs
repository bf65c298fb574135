//! The name of a persona: a word that is also safe as a file name and in a command line.

use std::fmt;

use serde::Serialize;

/// The name of a persona: 1 to 64 characters out of `a-z`, `0-9`, `-` and `_`, the first one a
/// letter or a digit. It names files (`personas/<name>.yaml`) and appears in composition
/// expressions (`sarcasm:0.6 + loving:0.4`), so nothing else is allowed.
///
/// # Examples
/// ```
/// use ingrain_constitution::PersonaName;
///
/// let name: PersonaName = "sarcasm".parse()?;
/// assert_eq!(name.as_str(), "sarcasm");
/// let error = "Dry Wit".parse::<PersonaName>().unwrap_err();
/// assert_eq!(error.suggestion.as_deref(), Some("dry-wit"));
/// # Ok::<(), ingrain_constitution::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transparent))]
pub struct PersonaName(
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,63}$")))]
    String,
);

/// The given text is no [`PersonaName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no persona name; expected {EXPECTED_NAME}")]
pub struct InvalidName {
    /// The text (its first 64 characters).
    pub found: String,
    /// The nearest valid name, if the text has one.
    pub suggestion: Option<String>,
}

pub(crate) const EXPECTED_NAME: &str =
    "1 to 64 of a-z, 0-9, - and _, starting with a letter or a digit";

impl PersonaName {
    const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest valid name of any text: lower-cased, everything else turned into `-`.
    /// `None` when no letter or digit is left.
    ///
    /// # Examples
    /// ```
    /// use ingrain_constitution::PersonaName;
    ///
    /// assert_eq!(PersonaName::slug("Dry Wit (v2)").unwrap().as_str(), "dry-wit-v2");
    /// assert_eq!(PersonaName::slug("...!"), None);
    /// ```
    pub fn slug(text: &str) -> Option<Self> {
        let mut slug = String::new();
        for character in text.chars().take(4 * Self::MAX_LEN) {
            let character = character.to_ascii_lowercase();
            if character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_' {
                slug.push(character);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(Self::MAX_LEN);
        let slug = slug.trim_matches(['-', '_']);
        Self::is_valid(slug).then(|| Self(slug.to_owned()))
    }

    /// The name of something whose own name leaves no letter over.
    pub(crate) fn placeholder() -> Self {
        Self("unnamed".into())
    }

    fn is_valid(text: &str) -> bool {
        let inner = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        text.len() <= Self::MAX_LEN
            && text.bytes().all(inner)
            && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
    }
}

impl std::str::FromStr for PersonaName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Self::is_valid(text) {
            return Ok(Self(text.to_owned()));
        }
        let suggestion = Self::slug(text).filter(|slug| slug.as_str() != text).map(|slug| slug.0);
        Err(InvalidName { found: text.chars().take(Self::MAX_LEN).collect(), suggestion })
    }
}

impl fmt::Display for PersonaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PersonaName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for PersonaName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for PersonaName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_safe_words_are_names() {
        for good in ["sarcasm", "a", "7-up", "dry_wit", "sarcasm60-loving40"] {
            assert_eq!(good.parse::<PersonaName>().map(|name| name.to_string()), Ok(good.into()));
        }
        for bad in ["", "-x", "_x", "Sarcasm", "dry wit", "../etc", "é", &"a".repeat(65)] {
            assert!(bad.parse::<PersonaName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slug_is_a_valid_name_or_nothing() {
        assert_eq!(
            PersonaName::slug("Dry  Wit!").as_ref().map(PersonaName::as_str),
            Some("dry-wit")
        );
        assert_eq!(PersonaName::slug("日本"), None);
        let long = PersonaName::slug(&"ab ".repeat(200)).map(|name| name.to_string());
        assert!(long.is_some_and(|name| name.len() <= 64));
    }
}
