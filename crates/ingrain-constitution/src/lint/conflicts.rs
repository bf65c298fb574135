//! Assertions that cannot both be true of one reply, as far as words show it.

use std::{collections::BTreeSet, fmt};

use crate::words::{content_stems, jaccard, stem, words};

/// Why two assertions conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// One affirms what the other denies.
    Denied(String),
    /// They ask for opposites.
    Opposite(&'static str, &'static str),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(what) => write!(f, "one denies what the other affirms ({what})"),
            Self::Opposite(left, right) => write!(f, "{left:?} against {right:?}"),
        }
    }
}

/// Words that deny the clause they stand in.
const DENIALS: &[&str] = &[
    "never", "not", "don't", "won't", "can't", "cannot", "avoid", "refuse", "rarely", "seldom",
    "without", "nothing", "neither",
];

/// Words that cannot describe the same thing at once.
const OPPOSITES: &[(&str, &str)] = &[
    ("short", "long"),
    ("brief", "long"),
    ("brief", "lengthy"),
    ("plain", "ornate"),
    ("simple", "elaborate"),
    ("formal", "casual"),
    ("formal", "informal"),
    ("warm", "cold"),
    ("warm", "chilly"),
    ("gentle", "harsh"),
    ("kind", "cruel"),
    ("polite", "rude"),
    ("serious", "playful"),
    ("serious", "silly"),
    ("calm", "excited"),
    ("cautious", "reckless"),
    ("humble", "boastful"),
    ("quick", "slow"),
    ("certain", "doubtful"),
    ("optimistic", "pessimistic"),
    ("truth", "lies"),
    ("praise", "criticise"),
    ("praise", "mock"),
    ("agree", "disagree"),
];

/// How much of what two clauses are about must be the same before their difference counts.
const SAME_SUBJECT: f64 = 0.5;

/// Clauses of one text that are looked at; an assertion has one to six.
const MOST_CLAUSES: usize = 12;

/// What a text claims, clause by clause, ready to be compared.
pub(crate) struct Claims(Vec<Clause>);

struct Clause {
    denied: bool,
    stems: BTreeSet<String>,
}

impl Claims {
    pub(crate) fn of(text: &str) -> Self {
        let clauses = text
            .split(['.', ';', ':', ',', '!', '?', '\u{2014}'])
            .take(MOST_CLAUSES)
            .map(|clause| {
                let words = words(clause);
                let denied = words.iter().any(|word| DENIALS.contains(&word.as_str()));
                let mut stems = content_stems(clause);
                for denial in DENIALS {
                    stems.remove(stem(denial));
                }
                Clause { denied, stems }
            })
            .filter(|clause| !clause.stems.is_empty());
        Self(clauses.collect())
    }

    /// The conflict between two texts, if their words show one.
    pub(crate) fn conflict(&self, other: &Self) -> Option<Conflict> {
        let pairs = self.0.iter().flat_map(|left| other.0.iter().map(move |right| (left, right)));
        pairs.into_iter().find_map(|(left, right)| left.conflict(right))
    }
}

impl Clause {
    fn conflict(&self, other: &Self) -> Option<Conflict> {
        if self.denied == other.denied {
            return opposite(&self.stems, &other.stems);
        }
        if jaccard(&self.stems, &other.stems) < SAME_SUBJECT {
            return None;
        }
        let shared: Vec<&str> =
            self.stems.intersection(&other.stems).map(String::as_str).collect();
        Some(Conflict::Denied(shared.join(", ")))
    }
}

/// A pair of opposites, one on each side, where the rest of the clauses is about the same.
fn opposite(left: &BTreeSet<String>, right: &BTreeSet<String>) -> Option<Conflict> {
    for (one, other) in OPPOSITES {
        let (one_stem, other_stem) = (stem(one), stem(other));
        let crossed = (left.contains(one_stem) && right.contains(other_stem))
            || (left.contains(other_stem) && right.contains(one_stem));
        let both = |side: &BTreeSet<String>| side.contains(one_stem) && side.contains(other_stem);
        if !crossed || both(left) || both(right) {
            continue;
        }
        let rest = |side: &BTreeSet<String>| -> BTreeSet<String> {
            side.iter().filter(|word| *word != one_stem && *word != other_stem).cloned().collect()
        };
        let (left, right) = (rest(left), rest(right));
        if (left.is_empty() && right.is_empty()) || jaccard(&left, &right) >= SAME_SUBJECT {
            return Some(Conflict::Opposite(one, other));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(left: &str, right: &str) -> Option<Conflict> {
        Claims::of(left).conflict(&Claims::of(right))
    }

    #[test]
    fn a_denial_of_the_same_act_conflicts() {
        let found = conflict("I apologise for my mistakes.", "I never apologise for a mistake.");
        assert_eq!(found, Some(Conflict::Denied("apolog, mistak".into())));
        assert_eq!(conflict("I never joke.", "I never joke about grief."), None);
        assert_eq!(conflict("I tell jokes about cats.", "I never raise my voice at children."), None);
    }

    #[test]
    fn opposites_conflict_only_about_the_same_thing() {
        let found = conflict("I write short sentences.", "I write long sentences.");
        assert_eq!(found, Some(Conflict::Opposite("short", "long")));
        assert_eq!(conflict("I write short sentences.", "I take long walks in poems."), None);
        // Both ends in one assertion is a description of range.
        assert_eq!(conflict("I set long sentences beside short ones.", "I write short ones."), None);
    }
}
