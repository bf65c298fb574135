//! What a set of preference pairs is like, in numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::name_leak::mentions;
use crate::words::{word_count, words};
use crate::{NearDuplicates, PreferencePair, is_refusal};

/// Words that make up an opening.
const OPENING_WORDS: usize = 4;
/// Openings listed in a report.
const OPENINGS_LISTED: usize = 5;

/// Quality of a set of pairs. A pure function of the pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Number of pairs.
    pub pairs: usize,
    /// Number of different prompts.
    pub prompts: usize,
    /// Pairs that repeat prompt and chosen reply of another one.
    pub repeated: usize,
    /// The replies to prefer.
    pub chosen: TextReport,
    /// The others.
    pub rejected: TextReport,
    /// What a model could learn from length alone.
    pub length_bias: LengthBias,
    /// Share of chosen replies that name the teacher; 0 if no names were given.
    #[serde(default)]
    pub name_leak_rate: f64,
    /// Share of assertions with at least one pair, in 0..=1; 1 without assertions.
    #[serde(default)]
    pub assertion_coverage: f64,
    /// Pairs by assertion; an assertion without pairs stands there with 0.
    pub by_assertion: BTreeMap<usize, usize>,
    /// Pairs whose prompt belongs to no assertion.
    pub general: usize,
}

/// Quality of a set of texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextReport {
    /// Number of texts.
    pub count: usize,
    /// Their lengths, in words.
    pub words: Lengths,
    /// Share of different words among all words, in 0..=1.
    pub distinct_1: f64,
    /// Share of different pairs of neighbouring words among all such pairs.
    pub distinct_2: f64,
    /// The same for three words.
    pub distinct_3: f64,
    /// Share of texts that nearly repeat an earlier one (see [`crate::NearDuplicates`]).
    #[serde(default)]
    pub near_duplicate_rate: f64,
    /// Share of texts that decline (see [`crate::is_refusal`]).
    pub refusal_rate: f64,
    /// Share of texts that open with the most frequent first four words.
    pub top_opening_share: f64,
    /// Chance that two texts drawn with replacement open with the same four words, in 0..=1.
    #[serde(default)]
    pub opening_concentration: f64,
    /// The most frequent openings.
    pub openings: Vec<Opening>,
}

/// First words that several texts share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Four words, in lower case.
    pub text: String,
    /// Texts that open so.
    pub count: usize,
}

/// Distribution of lengths, in words; all 0 for no texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Arithmetic mean.
    pub mean: f64,
    /// Shortest.
    pub min: usize,
    /// A tenth of the texts is at most this long.
    pub p10: usize,
    /// Half of the texts.
    pub median: usize,
    /// Nine tenths of the texts.
    pub p90: usize,
    /// Longest.
    pub max: usize,
}

/// Length of chosen against length of rejected replies, pair by pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LengthBias {
    /// Mean of words of chosen less words of rejected.
    pub mean_difference: f64,
    /// Share of pairs whose chosen reply is the longer one, in 0..=1; 0.5 is no bias.
    pub chosen_longer: f64,
}

impl QualityReport {
    /// Measures `pairs`; `assertions` is the number of assertions in the constitution.
    ///
    /// # Examples
    /// ```
    /// use ingrain_data::{PreferencePair, QualityReport};
    ///
    /// let pairs = [PreferencePair::new("Why?", "Oh, a why. How new.", "Because.")];
    /// let report = QualityReport::of_pairs(&pairs, 0);
    /// assert_eq!(report.length_bias.mean_difference, 4.0);
    /// assert_eq!(report.chosen.openings[0].text, "oh a why how");
    /// ```
    #[must_use]
    pub fn of_pairs(pairs: &[PreferencePair], assertions: usize) -> Self {
        Self::with_teacher_names(pairs, assertions, &[])
    }

    /// Like [`of_pairs`](Self::of_pairs), looking for what the teacher calls itself too.
    #[must_use]
    pub fn with_teacher_names(
        pairs: &[PreferencePair],
        assertions: usize,
        teacher_names: &[String],
    ) -> Self {
        let mut by_assertion: BTreeMap<usize, usize> = (0..assertions).map(|a| (a, 0)).collect();
        for assertion in pairs.iter().filter_map(|pair| pair.assertion) {
            *by_assertion.entry(assertion).or_default() += 1;
        }
        let questions: HashSet<_> = pairs.iter().map(PreferencePair::question).collect();
        let different: HashSet<_> =
            pairs.iter().map(|pair| (pair.question(), pair.chosen_text())).collect();
        let leaks = |pair: &&PreferencePair| mentions(pair.chosen_text(), teacher_names);
        let covered = by_assertion.values().filter(|&&n| n > 0).count();
        Self {
            pairs: pairs.len(),
            prompts: questions.len(),
            repeated: pairs.len() - different.len(),
            chosen: TextReport::of(pairs.iter().map(PreferencePair::chosen_text)),
            rejected: TextReport::of(pairs.iter().map(PreferencePair::rejected_text)),
            length_bias: LengthBias::of(pairs),
            name_leak_rate: share(pairs.iter().filter(leaks).count(), pairs.len()),
            assertion_coverage: match by_assertion.len() {
                0 => 1.0,
                all => share(covered, all),
            },
            by_assertion,
            general: pairs.iter().filter(|pair| pair.assertion.is_none()).count(),
        }
    }
}

impl TextReport {
    /// Measures a set of texts: replies, reflections, turns.
    #[must_use]
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<&str> = texts.into_iter().collect();
        let words: Vec<Vec<String>> = texts.iter().map(|text| words(text)).collect();
        let refused = texts.iter().filter(|text| is_refusal(text)).count();
        let (openings, opening_concentration) = openings(&words);
        let repeats = NearDuplicates::default().find(texts.iter().copied()).len();
        Self {
            count: texts.len(),
            words: Lengths::of(texts.iter().map(|text| word_count(text)).collect()),
            distinct_1: distinct(&words, 1),
            distinct_2: distinct(&words, 2),
            distinct_3: distinct(&words, 3),
            near_duplicate_rate: share(repeats, texts.len()),
            refusal_rate: share(refused, texts.len()),
            top_opening_share: share(openings.first().map_or(0, |o| o.count), texts.len()),
            opening_concentration,
            openings,
        }
    }
}

impl Lengths {
    fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let (Some(&min), Some(&max)) = (lengths.first(), lengths.last()) else {
            return Self::default();
        };
        // Nearest rank: the smallest length that at least this share of the texts does not exceed.
        let rank = |percent: usize| lengths[(lengths.len() * percent).div_ceil(100).max(1) - 1];
        let sum: usize = lengths.iter().sum();
        Self {
            mean: share(sum, lengths.len()),
            min,
            p10: rank(10),
            median: rank(50),
            p90: rank(90),
            max,
        }
    }
}

impl LengthBias {
    fn of(pairs: &[PreferencePair]) -> Self {
        let lengths = |pair: &PreferencePair| {
            (word_count(pair.chosen_text()), word_count(pair.rejected_text()))
        };
        let (mut difference, mut longer) = (0.0, 0);
        for (chosen, rejected) in pairs.iter().map(lengths) {
            difference += chosen as f64 - rejected as f64;
            longer += usize::from(chosen > rejected);
        }
        let mean_difference = if pairs.is_empty() { 0.0 } else { difference / pairs.len() as f64 };
        Self { mean_difference, chosen_longer: share(longer, pairs.len()) }
    }
}

/// Share of different n-grams among all; 0 without any.
fn distinct(texts: &[Vec<String>], n: usize) -> f64 {
    let grams: Vec<&[String]> = texts.iter().flat_map(|words| words.windows(n)).collect();
    let different: HashSet<_> = grams.iter().collect();
    share(different.len(), grams.len())
}

/// The most frequent first words, equal counts in alphabetical order, and the chance that two
/// texts share theirs.
fn openings(texts: &[Vec<String>]) -> (Vec<Opening>, f64) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for words in texts.iter().filter(|words| !words.is_empty()) {
        *counts.entry(words[..OPENING_WORDS.min(words.len())].join(" ")).or_default() += 1;
    }
    let mut openings: Vec<_> =
        counts.into_iter().map(|(text, count)| Opening { text, count }).collect();
    openings.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
    let all: usize = openings.iter().map(|o| o.count).sum();
    let concentration = openings.iter().map(|o| share(o.count, all).powi(2)).sum();
    openings.truncate(OPENINGS_LISTED);
    (openings, concentration)
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
