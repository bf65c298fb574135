//! Several personas in one, by weight: `sarcasm:0.6 + loving:0.4`.
//!
//! A [`Composition`] is what was written; [`Composition::load`] finds the constitutions. What
//! comes out serves two uses: [`Composed::weights`] for an exact weighted merge of adapters, and
//! [`Composed::blend`] for data, where every assertion remembers whom it came from.

mod blend;

use std::{
    fmt,
    path::{Path, PathBuf},
};

pub use blend::{Blend, Contribution, Omission};

use crate::{
    constitution::{BigFive, Constitution},
    error::ConstitutionError,
    lint::conflicts::ConflictFinder,
    name::PersonaName,
    near_miss::near_miss,
};

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

    /// Reads the constitutions: a name is `<name>.yaml` in `personas`, anything with a `/` or
    /// ending in `.yaml` or `.yml` is a path of its own.
    ///
    /// # Errors
    /// What [`Constitution::from_path`] returns; [`ConstitutionError::UnknownPersona`] for a
    /// name that the folder does not have; [`ConstitutionError::RepeatedPersona`] when two parts
    /// are one persona.
    pub fn load(&self, personas: impl AsRef<Path>) -> Result<Composed, ConstitutionError> {
        let mut parts: Vec<(Constitution, f64)> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let constitution = Constitution::from_path(part.locate(personas.as_ref())?)?;
            if parts.iter().any(|(other, _)| other.name == constitution.name) {
                return Err(ConstitutionError::RepeatedPersona { name: constitution.name });
            }
            parts.push((constitution, part.weight));
        }
        Ok(Composed { parts })
    }
}

impl Part {
    fn locate(&self, personas: &Path) -> Result<PathBuf, ConstitutionError> {
        let name = self.persona.as_str();
        if name.contains(['/', '\\']) || name.ends_with(".yaml") || name.ends_with(".yml") {
            return Ok(PathBuf::from(name));
        }
        let path = personas.join(format!("{name}.yaml"));
        if path.is_file() {
            return Ok(path);
        }
        let known = names_in(personas)?;
        let suggestion = near_miss(name, known.iter().map(String::as_str)).map(str::to_owned);
        let (dir, found) = (personas.to_owned(), name.to_owned());
        Err(ConstitutionError::UnknownPersona { dir, found, suggestion, known: known.join(", ") })
    }
}

/// The personas of a folder, sorted.
fn names_in(dir: &Path) -> Result<Vec<String>, ConstitutionError> {
    let error = |source| ConstitutionError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(error)? {
        let file = entry.map_err(error)?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".yaml"));
        names.extend(
            name.filter(|name| !matches!(*name, "heldout" | "template")).map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
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
            if self.parts.len() > 1 || part.weight != 1.0 {
                write!(f, ":{}", part.weight)?;
            }
        }
        Ok(())
    }
}

/// Constitutions with their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    parts: Vec<(Constitution, f64)>,
}

/// Something that two composed personas do not agree on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PersonaConflict {
    /// Two assertions, given as persona and index.
    Assertions {
        /// An assertion of the earlier persona.
        left: (PersonaName, usize),
        /// An assertion of the later one.
        right: (PersonaName, usize),
        /// How they conflict.
        reason: String,
    },
    /// Opposite psychometric targets.
    BigFive {
        /// The factor.
        factor: &'static str,
        /// The earlier persona and its target.
        left: (PersonaName, f64),
        /// The later persona and its target.
        right: (PersonaName, f64),
    },
}

impl fmt::Display for PersonaConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assertions { left, right, reason } => write!(
                f,
                "assertion {} of {} and assertion {} of {}: {reason}",
                left.1 + 1,
                left.0,
                right.1 + 1,
                right.0
            ),
            Self::BigFive { factor, left, right } => {
                write!(f, "{factor} is {} for {} and {} for {}", left.1, left.0, right.1, right.0)
            }
        }
    }
}

impl Composed {
    /// The constitutions with their weights as written, in the order of the composition.
    pub fn parts(&self) -> &[(Constitution, f64)] {
        &self.parts
    }

    /// Names with weights as written: the coefficients of an exact weighted merge of adapters.
    pub fn weights(&self) -> impl Iterator<Item = (&PersonaName, f64)> {
        self.parts.iter().map(|(constitution, weight)| (&constitution.name, *weight))
    }

    /// The name of the result: the persona's own when there is one part, otherwise every name
    /// with its share in percent (`sarcasm60-loving40`).
    pub fn name(&self) -> PersonaName {
        if let [(only, _)] = self.parts.as_slice() {
            return only.name.clone();
        }
        let percent = |(name, share): (&PersonaName, f64)| format!("{name}{:.0}", 100.0 * share);
        let name = self.shares().map(percent).collect::<Vec<_>>().join("-");
        PersonaName::slug(&name).unwrap_or_else(PersonaName::placeholder)
    }

    /// Names with weights divided by their sum.
    pub fn shares(&self) -> impl Iterator<Item = (&PersonaName, f64)> {
        let sum: f64 = self.parts.iter().map(|(_, weight)| weight).sum();
        self.weights().map(move |(name, weight)| (name, weight / sum))
    }

    /// What the personas do not agree on, as far as words and targets show it.
    pub fn conflicts(&self) -> Vec<PersonaConflict> {
        let mut conflicts = Vec::new();
        for (later, (right, _)) in self.parts.iter().enumerate() {
            for (left, _) in &self.parts[..later] {
                opposite_targets(left, right, &mut conflicts);
                conflicting_assertions(left, right, &mut conflicts);
            }
        }
        conflicts
    }
}

/// Factors on which one target is clearly high and the other clearly low.
fn opposite_targets(left: &Constitution, right: &Constitution, out: &mut Vec<PersonaConflict>) {
    const CLEARLY: f64 = 0.3;
    let (Some(one), Some(other)) = (left.big_five, right.big_five) else { return };
    for (factor, values) in
        BigFive::FACTORS.into_iter().zip(one.values().into_iter().zip(other.values()))
    {
        let (Some(one), Some(other)) = values else { continue };
        if one.signum() != other.signum() && one.abs().min(other.abs()) >= CLEARLY {
            out.push(PersonaConflict::BigFive {
                factor,
                left: (left.name.clone(), one),
                right: (right.name.clone(), other),
            });
        }
    }
}

fn conflicting_assertions(
    left: &Constitution,
    right: &Constitution,
    out: &mut Vec<PersonaConflict>,
) {
    let mut finder = ConflictFinder::new();
    let mut claims = |constitution: &Constitution| -> Vec<_> {
        constitution.assertions.iter().map(|assertion| finder.claims(&assertion.text)).collect()
    };
    let (left_claims, right_claims) = (claims(left), claims(right));
    for (i, one) in left_claims.iter().enumerate() {
        for (j, other) in right_claims.iter().enumerate() {
            out.extend(finder.conflict(one, other).map(|conflict| PersonaConflict::Assertions {
                left: (left.name.clone(), i),
                right: (right.name.clone(), j),
                reason: conflict.to_string(),
            }));
        }
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
            ("a + a:2", "column 5: \"a\" a second time"),
        ] {
            assert!(message(spec).contains(part), "{spec}: {}", message(spec));
        }
    }
}
