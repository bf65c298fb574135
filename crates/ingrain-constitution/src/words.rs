//! Words of a text: the measure of likeness that the lint rules and compositions share.
//!
//! Plain English word lists and overlaps, no model: fast, the same everywhere, and blind to
//! paraphrase.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet},
    rc::Rc,
    sync::LazyLock,
};

/// Two texts are near-duplicates when their word sets overlap this much: `|A n B| / |A u B|`.
pub(crate) const NEAR_DUPLICATE: f64 = 0.5;

/// Comparisons after which [`near_duplicates`] stops, for texts made to meet under every word.
/// A thousand ordinary questions need some thousands.
const MAX_COMPARISONS: usize = 2_000_000;

/// The lower-cased words of a text, apostrophes kept straight inside words.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for_each_word(text, |word| words.push(word.to_owned()));
    words
}

fn for_each_word(text: &str, mut see: impl FnMut(&str)) {
    let mut word = String::new();
    // The space ends the last word.
    for character in text.chars().chain([' ']) {
        match character {
            'a'..='z' | '0'..='9' => word.push(character),
            'A'..='Z' => word.push(character.to_ascii_lowercase()),
            '\'' | '\u{2019}' if !word.is_empty() => word.push('\''),
            _ if !character.is_ascii() && character.is_alphanumeric() => {
                word.extend(character.to_lowercase());
            }
            _ => {
                let trimmed = word.trim_end_matches('\'');
                if !trimmed.is_empty() {
                    see(trimmed);
                }
                word.clear();
            }
        }
    }
}

/// Words as numbers, so that texts are cut up and words looked at only once.
#[derive(Default)]
pub(crate) struct Lexicon {
    ids: HashMap<Rc<str>, u32>,
    spellings: Vec<Rc<str>>,
    /// Of each word, the number of its stem, unless it is a stop word.
    content: Vec<Option<u32>>,
}

impl Lexicon {
    /// The number of a word, which becomes known by this.
    pub(crate) fn id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.ids.get(word) {
            return *id;
        }
        let id = self.content.len() as u32;
        let spelling: Rc<str> = word.into();
        self.spellings.push(Rc::clone(&spelling));
        self.ids.insert(spelling, id);
        self.content.push(None);
        if !is_stop_word(word) {
            let stem = stem(word);
            let stem = if stem == word { id } else { self.id(stem) };
            self.content[id as usize] = Some(stem);
        }
        id
    }

    /// The words of a text in their order.
    pub(crate) fn words(&mut self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for_each_word(text, |word| ids.push(self.id(word)));
        ids
    }

    /// The set of stems of the words that say what a text is about.
    pub(crate) fn content(&self, words: &[u32]) -> BTreeSet<u32> {
        words.iter().filter_map(|word| self.content[*word as usize]).collect()
    }

    /// The numbers of all known words for which this holds.
    pub(crate) fn select(&self, holds: impl Fn(&str) -> bool) -> HashSet<u32> {
        self.ids.iter().filter(|(word, _)| holds(word)).map(|(_, id)| *id).collect()
    }

    /// The spelling of a word or stem.
    pub(crate) fn spelling(&self, id: u32) -> &str {
        self.spellings.get(id as usize).map_or("", AsRef::as_ref)
    }
}

/// Words that say little about what a sentence is about.
const STOP_WORDS: &str = "\
    a about after again all also always am an and any anyone are as at be because been before \
    being but by can could do does don't each even ever every everyone everything for from had \
    has have he her here him his how however i i'd i'll i'm i've if in into is it it's its just \
    least less like make many me mine more most much must my myself never no not nothing of off \
    often on once one only or other our out over own rather say she should so some somebody \
    someone something still such take than that that's the their them then there these they \
    thing things this those though through to too under until up very was way we well were what \
    whatever when where whether which while who whom whose why will with without would you your";

fn is_stop_word(word: &str) -> bool {
    static SET: LazyLock<HashSet<&'static str>> = LazyLock::new(|| STOP_WORDS.split(' ').collect());
    SET.contains(word)
}

/// A rough word stem: common English endings cut off, so that `apologise` and `apologies` meet.
pub(crate) fn stem(word: &str) -> &str {
    let word = word.strip_suffix("'s").unwrap_or(word);
    // Every ending below ends in one of these.
    if !word.ends_with(['s', 'e', 'd', 'g', 'y']) {
        return word;
    }
    for ending in [
        "ingly", "edly", "ising", "izing", "ised", "ized", "ise", "ize", "ies", "ing", "ed", "ly",
        "es", "s", "e", "y",
    ] {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.chars().count() >= 3
        {
            return stem;
        }
    }
    word
}

/// `|A n B| / |A u B|`; 0 for two empty sets.
pub(crate) fn jaccard<T: Ord>(left: &BTreeSet<T>, right: &BTreeSet<T>) -> f64 {
    let shared = left.intersection(right).count();
    let union = left.len() + right.len() - shared;
    if union == 0 { 0.0 } else { shared as f64 / union as f64 }
}

/// Pairs of near-duplicate texts, as indices `(earlier, later)`: all pairs, or with `split` only
/// those of a text before that index and a text from it on. At most `limit` pairs.
///
/// Exact up to [`MAX_COMPARISONS`]: two sets that overlap by a half or more share one of their
/// rarest words, so only texts that meet under a rare word are compared (prefix filtering,
/// Chaudhuri et al. 2006).
pub(crate) fn near_duplicates(
    texts: &[&[u32]],
    split: Option<usize>,
    limit: usize,
) -> Vec<(usize, usize)> {
    let sets = rarest_first(texts);
    let (mut seen_under, mut pairs) = (HashMap::<u32, Vec<usize>>::new(), Vec::new());
    // The last text that each text was compared with, so that no pair is compared twice.
    let mut compared_with = vec![usize::MAX; texts.len()];
    let mut comparisons = 0;
    for (later, set) in sets.iter().enumerate() {
        let (stored, probing) = split.map_or((true, true), |split| (later < split, later >= split));
        let prefix = set.len() - (NEAR_DUPLICATE * set.len() as f64).ceil() as usize + 1;
        for word in set.iter().take(prefix) {
            let met = seen_under.entry(*word).or_default();
            for earlier in met.iter().copied().filter(|_| probing) {
                if std::mem::replace(&mut compared_with[earlier], later) == later {
                    continue;
                }
                comparisons += 1;
                if overlap(&sets[earlier], set) >= NEAR_DUPLICATE {
                    pairs.push((earlier, later));
                }
                if pairs.len() == limit || comparisons == MAX_COMPARISONS {
                    return pairs;
                }
            }
            if stored {
                met.push(later);
            }
        }
    }
    pairs
}

/// The word set of each text as sorted numbers; the rarer a word, the smaller its number.
fn rarest_first(texts: &[&[u32]]) -> Vec<Vec<u32>> {
    let known = texts.iter().flat_map(|words| words.iter()).max().map_or(0, |id| *id as usize + 1);
    let mut counts = vec![0_u32; known];
    let mut sets: Vec<Vec<u32>> = Vec::with_capacity(texts.len());
    for words in texts {
        let mut set = words.to_vec();
        set.sort_unstable();
        set.dedup();
        for id in &set {
            counts[*id as usize] += 1;
        }
        sets.push(set);
    }
    let mut by_rarity: Vec<u32> = (0..known as u32).collect();
    by_rarity.sort_unstable_by_key(|id| (counts[*id as usize], *id));
    let mut rank = counts;
    for (place, id) in by_rarity.iter().enumerate() {
        rank[*id as usize] = place as u32;
    }
    for set in &mut sets {
        for id in set.iter_mut() {
            *id = rank[*id as usize];
        }
        set.sort_unstable();
    }
    sets
}

/// [`jaccard`] of two sorted sets.
fn overlap(left: &[u32], right: &[u32]) -> f64 {
    let (mut shared, mut i, mut j) = (0, 0, 0);
    while i < left.len() && j < right.len() {
        match left[i].cmp(&right[j]) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => (shared, i, j) = (shared + 1, i + 1, j + 1),
        }
    }
    let union = left.len() + right.len() - shared;
    if union == 0 { 0.0 } else { shared as f64 / union as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_with_straight_apostrophes() {
        assert_eq!(words("I\u{2019}m 'fine', Zoë's 2nd."), ["i'm", "fine", "zoë's", "2nd"]);
        assert!(words("?! -- ...").is_empty());
    }

    #[test]
    fn stop_words_are_words_of_their_own() {
        assert!(STOP_WORDS.split(' ').all(|word| words(word) == [word] && is_stop_word(word)));
        assert!(!is_stop_word("egg") && !is_stop_word(""));
    }

    #[test]
    fn stems_of_one_word_meet() {
        for (left, right) in [
            ("apologise", "apologies"),
            ("joke", "jokes"),
            ("warm", "warmly"),
            ("answer", "answered"),
        ] {
            assert_eq!(stem(left), stem(right), "{left} {right}");
        }
        assert_eq!(stem("is"), "is");
    }

    #[test]
    fn a_lexicon_knows_words_by_number_and_content_by_stem() {
        let mut lexicon = Lexicon::default();
        let joking = lexicon.words("I was joking about the jokes");
        let jokes = lexicon.words("Jokes!");
        assert_eq!(joking.len(), 6);
        assert_eq!(lexicon.content(&joking), lexicon.content(&jokes));
        let stem = lexicon.content(&jokes).first().copied().expect("a stem");
        assert_eq!(lexicon.spelling(stem), "jok");
    }

    #[test]
    fn near_duplicates_are_those_of_the_plain_double_loop() {
        let texts = [
            "What is the capital of Australia?",
            "What is the capital of France?",
            "How do I boil an egg?",
            "How do I boil a soft egg for two?",
            "",
            "Boil an egg how do I",
        ];
        // 0-1 share 5 of 7 words; 2-5 all of 6; 2-3 share 5 of 10 (how do i boil egg), which is
        // 0.5; 3-5 the same.
        let mut lexicon = Lexicon::default();
        let texts: Vec<Vec<u32>> = texts.iter().map(|text| lexicon.words(text)).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let sorted = |split, limit| {
            let mut pairs = near_duplicates(&texts, split, limit);
            pairs.sort_unstable();
            pairs
        };
        assert_eq!(sorted(None, 10), [(0, 1), (2, 3), (2, 5), (3, 5)]);
        assert_eq!(sorted(None, 2), [(0, 1), (2, 3)]);
        assert_eq!(sorted(Some(3), 10), [(2, 3), (2, 5)]);
    }
}
