//! Texts as words, for everything that compares or counts.

use std::collections::HashSet;

/// Words in lower case without punctuation; an apostrophe inside a word stays.
pub(crate) fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('’', "'");
    let split = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    split.map(|word| word.trim_matches('\'').to_owned()).filter(|word| !word.is_empty()).collect()
}

/// The different words of a text.
pub(crate) fn word_set(text: &str) -> HashSet<String> {
    words(text).into_iter().collect()
}

/// Share of `a`'s different words that `b` has too, in 0..=1; 0 for a text without words.
pub(crate) fn overlap(a: &HashSet<String>, b: &HashSet<String>) -> f64 {
    if a.is_empty() { 0.0 } else { a.intersection(b).count() as f64 / a.len() as f64 }
}

/// Words as white space parts them.
pub(crate) fn word_count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// FNV-1a: the same on every machine and in every release, unlike the standard library's hasher.
pub(crate) fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
