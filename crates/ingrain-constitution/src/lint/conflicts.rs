//! Assertions that cannot both be true of one reply, as far as words show it.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use crate::words::{Lexicon, jaccard, stem};

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

/// Finds conflicts between texts that it has read.
pub(crate) struct ConflictFinder {
    lexicon: Lexicon,
    denials: HashSet<u32>,
    opposites: Vec<(u32, u32)>,
}

/// What a text claims, clause by clause, ready to be compared.
pub(crate) struct Claims(Vec<Clause>);

struct Clause {
    denied: bool,
    stems: BTreeSet<u32>,
    /// Which of [`OPPOSITES`] it holds the first and the second word of, a bit each.
    first: u32,
    second: u32,
}

impl ConflictFinder {
    pub(crate) fn new() -> Self {
        let mut lexicon = Lexicon::default();
        let mut id = |word| lexicon.id(stem(word));
        let opposites = OPPOSITES.iter().map(|(one, other)| (id(one), id(other))).collect();
        let denials = DENIALS.iter().map(|word| lexicon.id(word)).collect();
        Self { lexicon, denials, opposites }
    }

    pub(crate) fn claims(&mut self, text: &str) -> Claims {
        let clauses = text.split(['.', ';', ':', ',', '!', '?', '\u{2014}']).take(MOST_CLAUSES);
        let clauses = clauses.map(|clause| self.clause(clause));
        Claims(clauses.filter(|clause| !clause.stems.is_empty()).collect())
    }

    fn clause(&mut self, text: &str) -> Clause {
        let mut words = self.lexicon.words(text);
        let count = words.len();
        words.retain(|word| !self.denials.contains(word));
        let stems = self.lexicon.content(&words);
        let bits = |of: fn(&(u32, u32)) -> u32| {
            let held =
                self.opposites.iter().enumerate().filter(|(_, pair)| stems.contains(&of(pair)));
            held.fold(0, |bits, (index, _)| bits | 1 << index)
        };
        let (first, second) = (bits(|pair| pair.0), bits(|pair| pair.1));
        Clause { denied: words.len() < count, first, second, stems }
    }

    /// The conflict between two texts, if their words show one.
    pub(crate) fn conflict(&self, left: &Claims, right: &Claims) -> Option<Conflict> {
        let pairs = left.0.iter().flat_map(|one| right.0.iter().map(move |other| (one, other)));
        pairs.into_iter().find_map(|(one, other)| self.clash(one, other))
    }

    fn clash(&self, one: &Clause, other: &Clause) -> Option<Conflict> {
        if one.denied == other.denied {
            return self.opposite(one, other);
        }
        if jaccard(&one.stems, &other.stems) < SAME_SUBJECT {
            return None;
        }
        let mut shared: Vec<&str> =
            one.stems.intersection(&other.stems).map(|id| self.lexicon.spelling(*id)).collect();
        shared.sort_unstable();
        Some(Conflict::Denied(shared.join(", ")))
    }

    /// A pair of opposites, one on each side and not both on one, where the rest of the clauses
    /// is about the same.
    fn opposite(&self, one: &Clause, other: &Clause) -> Option<Conflict> {
        let crossed = (one.first & other.second) | (one.second & other.first);
        let both = (one.first & one.second) | (other.first & other.second);
        let mut found = crossed & !both;
        while found != 0 {
            let index = found.trailing_zeros() as usize;
            found &= found - 1;
            let (left, right) = self.opposites[index];
            let rest = |clause: &Clause| -> BTreeSet<u32> {
                clause.stems.iter().copied().filter(|id| *id != left && *id != right).collect()
            };
            let (one, other) = (rest(one), rest(other));
            if (one.is_empty() && other.is_empty()) || jaccard(&one, &other) >= SAME_SUBJECT {
                return Some(Conflict::Opposite(OPPOSITES[index].0, OPPOSITES[index].1));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(left: &str, right: &str) -> Option<Conflict> {
        let mut reader = ConflictFinder::new();
        let (left, right) = (reader.claims(left), reader.claims(right));
        reader.conflict(&left, &right)
    }

    #[test]
    fn a_denial_of_the_same_act_conflicts() {
        let found = conflict("I apologise for my mistakes.", "I never apologise for a mistake.");
        assert_eq!(found, Some(Conflict::Denied("apolog, mistak".into())));
        assert_eq!(conflict("I never joke.", "I never joke about grief."), None);
        assert_eq!(
            conflict("I tell jokes about cats.", "I never raise my voice at children."),
            None
        );
    }

    #[test]
    fn the_opposites_fit_the_bits_and_keep_their_stems_apart() {
        assert!(OPPOSITES.len() <= u32::BITS as usize);
        assert!(OPPOSITES.iter().all(|(one, other)| stem(one) != stem(other)));
    }

    #[test]
    fn opposites_conflict_only_about_the_same_thing() {
        let found = conflict("I write short sentences.", "I write long sentences.");
        assert_eq!(found, Some(Conflict::Opposite("short", "long")));
        assert_eq!(conflict("I write short sentences.", "I take long walks in poems."), None);
        // Both ends in one assertion is a description of range.
        assert_eq!(
            conflict("I set long sentences beside short ones.", "I write short ones."),
            None
        );
    }
}
