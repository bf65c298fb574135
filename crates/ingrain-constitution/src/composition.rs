//! Several personas in one, by weight: `sarcasm:0.6 + loving:0.4`.
//!
//! A [`Composition`] is what was written; [`Composition::load`] finds the constitutions. What
//! comes out serves two uses: [`Composed::weights`] for an exact weighted merge of adapters, and
//! [`Composed::blend`] for data, where every assertion remembers whom it came from.

mod blend;
mod composed;
mod proportion;

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

pub use blend::{Blend, Contribution, Omission};
pub use composed::{Composed, PersonaConflict};

use crate::{constitution::Constitution, error::ConstitutionError, near_miss::near_miss};

/// A weighted sum of personas, as written on a command line or in a recipe.
///
/// The form is `NAME[:WEIGHT] + NAME[:WEIGHT] ...`, where a name is a persona of a folder or a
/// path to a constitution (with a `/`, or ending in `.yaml`). A weight is a positive number,
/// 1 when left out. Weights need not sum to 1: a merge of adapters takes them as they are, a
/// blend of data divides by their sum.
///
/// # Examples
/// ```
/// use ingrain_constitution::Composition;
///
/// let composition: Composition = "sarcasm:0.6 + loving:0.4".parse()?;
/// assert_eq!(composition.parts()[1].persona, "loving");
/// assert_eq!(composition.parts()[1].weight, 0.4);
/// assert_eq!(composition.to_string(), "sarcasm:0.6 + loving:0.4");
/// assert_eq!("sarcasm".parse::<Composition>()?.to_string(), "sarcasm");
/// assert!("sarcasm:lots".parse::<Composition>().is_err());
/// # Ok::<(), ingrain_constitution::CompositionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Composition {
    parts: Vec<Part>,
}

/// One summand of a [`Composition`].
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The name of a persona, or the path of a constitution.
    pub persona: String,
    /// Its weight, positive.
    pub weight: f64,
}

/// A text is no [`Composition`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{spec:?}, column {column}: {found}; expected {expected}, as in `sarcasm:0.6 + loving:0.4`"
)]
pub struct CompositionError {
    /// The whole text.
    pub spec: String,
    /// The column of the problem, in characters from 1.
    pub column: usize,
    /// What was found there.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Composition {
    /// The personas with their weights, in the order in which they were written; at least one.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The only persona, when there is nothing to compose.
    pub fn single(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [part] => Some(&part.persona),
            _ => None,
        }
    }

    /// The file of each part: a name is `<name>.yaml` in the first of `folders` that has it,
    /// anything with a `/` or ending in `.yaml` or `.yml` is a path of its own.
    ///
    /// # Errors
    /// [`ConstitutionError::UnknownPersona`] for a name that no folder has.
    pub fn locate(&self, folders: &[impl AsRef<Path>]) -> Result<Vec<PathBuf>, ConstitutionError> {
        self.parts.iter().map(|part| part.locate(folders)).collect()
    }

    /// Reads the constitutions from where [`Self::locate`] finds them.
    ///
    /// # Errors
    /// What [`Self::locate`] and [`Constitution::from_path`] return;
    /// [`ConstitutionError::RepeatedPersona`] when two parts are one persona.
    pub fn load(&self, folders: &[impl AsRef<Path>]) -> Result<Composed, ConstitutionError> {
        let mut parts: Vec<(Constitution, f64)> = Vec::with_capacity(self.parts.len());
        for (part, path) in self.parts.iter().zip(self.locate(folders)?) {
            let constitution = Constitution::from_path(path)?;
            if parts.iter().any(|(other, _)| other.name == constitution.name) {
                return Err(ConstitutionError::RepeatedPersona { name: constitution.name });
            }
            parts.push((constitution, part.weight));
        }
        Ok(Composed { parts })
    }
}

impl Part {
    fn locate(&self, folders: &[impl AsRef<Path>]) -> Result<PathBuf, ConstitutionError> {
        let name = self.persona.as_str();
        if name.contains(['/', '\\']) || name.ends_with(".yaml") || name.ends_with(".yml") {
            return Ok(PathBuf::from(name));
        }
        let mut files = folders.iter().map(|folder| folder.as_ref().join(format!("{name}.yaml")));
        files.find(|file| file.is_file()).ok_or_else(|| {
            let known = names_in(folders);
            let near = near_miss(name, known.iter().map(String::as_str));
            ConstitutionError::UnknownPersona {
                folders: folders.iter().map(|folder| folder.as_ref().to_owned()).collect(),
                found: name.to_owned(),
                suggestion: near.map(str::to_owned),
                known: known.into_iter().collect::<Vec<_>>().join(", "),
            }
        })
    }
}

/// The personas of all folders that can be read.
fn names_in(folders: &[impl AsRef<Path>]) -> BTreeSet<String> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    files
        .filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned))
        .filter(|name| !matches!(name.as_str(), "heldout" | "template"))
        .collect()
}

impl std::str::FromStr for Composition {
    type Err = CompositionError;

    fn from_str(spec: &str) -> Result<Self, Self::Err> {
        let mut parts: Vec<Part> = Vec::new();
        let mut start = 0;
        for summand in spec.split('+') {
            let leading = summand.len() - summand.trim_start().len();
            let column = 1 + spec[..start + leading].chars().count();
            let error = |found: String, expected| {
                Err(CompositionError { spec: spec.into(), column, found, expected })
            };
            let summand_text = summand.trim();
            let (persona, weight) = split_weight(summand_text);
            let weight_value = weight.map_or(Some(1.0), |weight| weight.parse::<f64>().ok());
            match (persona, weight_value) {
                ("", _) => return error("no persona".into(), "a name between the signs"),
                _ if persona.contains(char::is_control) => {
                    return error("a control character".into(), "names of printable characters");
                }
                (_, Some(weight)) if weight.is_finite() && weight > 0.0 => {
                    parts.push(Part { persona: persona.to_owned(), weight });
                }
                _ => {
                    let weight = weight.unwrap_or_default();
                    let expected = "a positive number after the colon";
                    return error(format!("the weight {weight:?} of {persona:?}"), expected);
                }
            }
            if parts[..parts.len() - 1].iter().any(|part| part.persona == persona) {
                return error(format!("{persona:?} a second time"), "each persona once");
            }
            start += summand.len() + 1;
        }
        Ok(Self { parts })
    }
}

/// A summand at its last colon. The colon of a Windows drive (`C:\x.yaml`) is none.
fn split_weight(summand: &str) -> (&str, Option<&str>) {
    match summand.rsplit_once(':') {
        Some((_, rest)) if rest.contains(['/', '\\']) => (summand, None),
        Some((persona, weight)) => (persona.trim(), Some(weight.trim())),
        None => (summand, None),
    }
}

impl fmt::Display for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_str(" + ")?;
            }
            f.write_str(&part.persona)?;
            // A path with a colon in it needs its weight, or the path's end would be taken for one.
            if self.parts.len() > 1 || part.weight != 1.0 || part.persona.contains(':') {
                write!(f, ":{}", part.weight)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composition_is_read_with_and_without_spaces_and_weights() {
        for spec in ["a:0.6 + b:0.4", "a:0.6+b:0.4", " a : 0.6  +b:.4 "] {
            let parsed: Composition = spec.parse().expect(spec);
            assert_eq!(parsed.to_string(), "a:0.6 + b:0.4", "{spec}");
        }
        let equal: Composition = "a + b".parse().expect("equal weights");
        assert_eq!(equal.parts().iter().map(|p| p.weight).collect::<Vec<_>>(), [1.0, 1.0]);
        let path: Composition = "mine/x.yaml:2 + C:\\y.yaml".parse().expect("paths");
        assert_eq!(path.parts()[0].weight, 2.0);
        assert_eq!(path.parts()[1].persona, "C:\\y.yaml");
        let drive: Composition = "C:\\y.yaml".parse().expect("a drive");
        assert_eq!(drive.to_string().parse(), Ok(drive));
        assert_eq!("solo".parse::<Composition>().expect("one").single(), Some("solo"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        let message = |spec: &str| spec.parse::<Composition>().expect_err(spec).to_string();
        assert_eq!(
            message("a:0.6 + b:x"),
            "\"a:0.6 + b:x\", column 9: the weight \"x\" of \"b\"; expected a positive number \
             after the colon, as in `sarcasm:0.6 + loving:0.4`"
        );
        for (spec, part) in [
            ("", "column 1: no persona"),
            ("a + ", "column 5: no persona"),
            ("a:0 + b", "the weight \"0\""),
            ("a:-1", "the weight \"-1\""),
            ("a:inf", "the weight \"inf\""),
            ("a\u{7}b", "column 1: a control character"),
            ("a + a:2", "column 5: \"a\" a second time"),
        ] {
            assert!(message(spec).contains(part), "{spec}: {}", message(spec));
        }
    }
}
