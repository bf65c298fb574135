//! Constitutions with weights: what they are called together, and what they do not agree on.

use std::fmt;

use crate::{
    constitution::{BigFive, Constitution},
    lint::conflicts::ConflictFinder,
    name::PersonaName,
};

/// Constitutions with their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    pub(super) parts: Vec<(Constitution, f64)>,
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
