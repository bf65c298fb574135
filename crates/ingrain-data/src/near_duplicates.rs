//! Near-duplicates in a set of texts, by MinHash.

use std::collections::{HashMap, HashSet};

use crate::words::{hash, words};

/// Bands of the signature; texts that agree in one whole band are compared exactly.
const BANDS: usize = 20;
/// Hashes in a band. With 20 bands of 5, two texts of similarity 0.8 meet with probability 0.9996.
const ROWS: usize = 5;
/// Neighbouring words that make up a shingle.
const SHINGLE: usize = 3;

/// Finds texts that nearly repeat an earlier one.
///
/// Texts are sets of three neighbouring words; two are near-duplicates if the Jaccard similarity of
/// their sets reaches `min_similarity`. Candidates come from banded MinHash signatures and are then
/// compared exactly, so nothing is reported that is not one; hardly any is missed at 0.7 or above.
///
/// # Examples
/// ```
/// use ingrain_data::NearDuplicates;
///
/// let texts = ["Oh, what a joy it is to boil an egg for you today.",
///              "Rivers flow down to the sea.",
///              "Oh, what a joy it is to boil an egg for you today, sir."];
/// let found = NearDuplicates::default().find(texts);
/// assert_eq!((found[0].text, found[0].of), (2, 0));
/// ```
///
/// # Source
/// Broder 1997, "On the resemblance and containment of documents".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearDuplicates {
    /// Least Jaccard similarity, in 0..=1. Default 0.8.
    pub min_similarity: f64,
}

/// A text that nearly repeats an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearDuplicate {
    /// Its index.
    pub text: usize,
    /// Index of the earlier one.
    pub of: usize,
    /// Jaccard similarity of the two.
    pub similarity: f64,
}

impl Default for NearDuplicates {
    fn default() -> Self {
        Self { min_similarity: 0.8 }
    }
}

impl NearDuplicates {
    /// Every text that nearly repeats an earlier one, in order, with one such earlier text.
    #[must_use]
    pub fn find<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Vec<NearDuplicate> {
        let mut search = self.search();
        texts.into_iter().filter_map(|text| search.add(text)).collect()
    }

    /// For texts that come one at a time.
    #[must_use]
    pub fn search(&self) -> NearDuplicateSearch {
        NearDuplicateSearch {
            min_similarity: self.min_similarity,
            buckets: HashMap::new(),
            sets: Vec::new(),
        }
    }
}

/// A search under way: hashes of what came so far, no text.
#[derive(Clone, Debug)]
pub struct NearDuplicateSearch {
    min_similarity: f64,
    /// Texts by the hash of a band.
    buckets: HashMap<u64, Vec<u32>>,
    /// Hashes of each text's shingles, ascending.
    sets: Vec<Box<[u64]>>,
}

impl NearDuplicateSearch {
    /// Takes the next text; an earlier one that it nearly repeats, if there is one.
    pub fn add(&mut self, text: &str) -> Option<NearDuplicate> {
        let set = shingles(&words(text));
        let keys = bands(&set);
        let candidates: HashSet<u32> =
            keys.iter().filter_map(|key| self.buckets.get(key)).flatten().copied().collect();
        let similarity = |of: usize| jaccard(&set, &self.sets[of]);
        let best = candidates.into_iter().map(|of| (of as usize, similarity(of as usize)));
        let best = best.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let best = best.filter(|&(_, similarity)| similarity >= self.min_similarity);
        let text = self.sets.len();
        // A repeat makes no bucket longer: a set of equal texts stays linear.
        if best.is_none() && !set.is_empty() {
            keys.into_iter().for_each(|key| self.buckets.entry(key).or_default().push(text as u32));
        }
        self.sets.push(set);
        best.map(|(of, similarity)| NearDuplicate { text, of, similarity })
    }
}

/// Hashes of the runs of three words, ascending; a shorter text is one run.
fn shingles(words: &[String]) -> Box<[u64]> {
    if words.is_empty() {
        return Box::default();
    }
    let runs = words.windows(SHINGLE.min(words.len()));
    let mut hashes: Vec<u64> = runs.map(|run| hash(&run.join(" "))).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into()
}

/// One hash a band of the MinHash signature; those of different bands differ.
fn bands(set: &[u64]) -> Vec<u64> {
    let least = |i: usize| set.iter().map(|&s| mix(s ^ mix(i as u64 + 1))).min().unwrap_or(0);
    let band =
        |b: usize| (0..ROWS).fold(mix(b as u64 + 1), |hash, r| mix(hash ^ least(b * ROWS + r)));
    (0..BANDS).map(band).collect()
}

/// Of two ascending sets.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let both = a.iter().filter(|hash| b.binary_search(hash).is_ok()).count();
    let either = a.len() + b.len() - both;
    if either == 0 { 0.0 } else { both as f64 / either as f64 }
}

/// SplitMix64's finaliser.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty words that depend on a seed, the last `changed` of them on another one.
    fn text(seed: u64, changed: usize) -> String {
        let word = |i: usize| {
            let seed = if i + changed >= 40 { seed + 1_000_000 } else { seed };
            format!("w{}", mix(seed * 1_000 + i as u64) % 100_000)
        };
        (0..40).map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn planted_near_duplicates_are_found_and_different_texts_are_not() {
        // Two changed words of forty leave 36 of 40 shingles: similarity 36/40.
        let mut texts: Vec<String> = (0..300).map(|i| text(i, 0)).collect();
        texts.extend((0..100).map(|i| text(i, 2)));
        let found = NearDuplicates::default().find(texts.iter().map(String::as_str));
        let pairs: Vec<_> = found.iter().map(|d| (d.text, d.of)).collect();
        assert_eq!(pairs, (0..100).map(|i| (300 + i, i)).collect::<Vec<_>>());
        assert!(found.iter().all(|d| (d.similarity - 36.0 / 40.0).abs() < 1e-9));
    }

    #[test]
    fn texts_below_the_similarity_are_left_alone_and_empty_ones_too() {
        let texts = [text(1, 0), text(1, 12), String::new(), String::new()];
        assert!(NearDuplicates::default().find(texts.iter().map(String::as_str)).is_empty());
    }

    #[test]
    fn ten_thousand_equal_texts_take_no_time() {
        let one = text(1, 0);
        let found = NearDuplicates::default().find(vec![one.as_str(); 10_000]);
        assert_eq!(found.len(), 9_999);
    }
}
