//! What a set of preference pairs is like, in numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::name_leak::mentions;
use crate::words::{hash, word_count, words};
use crate::{NearDuplicateSearch, NearDuplicates, PreferencePair, is_refusal};

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
        let mut tally = QualityTally::new(assertions, teacher_names);
        pairs.iter().for_each(|pair| tally.add(pair));
        tally.report()
    }
}

/// The same for pairs that come one at a time: counts and hashes of what came so far, and of texts the first
/// four words.
#[derive(Clone, Debug)]
pub struct QualityTally {
    teacher_names: Vec<String>,
    questions: HashSet<u64>,
    /// Question and chosen reply together.
    different: HashSet<(u64, u64)>,
    chosen: TextTally,
    rejected: TextTally,
    /// Words of chosen less words of rejected, over all pairs.
    difference: f64,
    chosen_longer: usize,
    leaks: usize,
    by_assertion: BTreeMap<usize, usize>,
    general: usize,
}

impl QualityTally {
    /// Nothing yet; `assertions` is the number of assertions in the constitution.
    #[must_use]
    pub fn new(assertions: usize, teacher_names: &[String]) -> Self {
        Self {
            teacher_names: teacher_names.to_vec(),
            questions: HashSet::new(),
            different: HashSet::new(),
            chosen: TextTally::default(),
            rejected: TextTally::default(),
            difference: 0.0,
            chosen_longer: 0,
            leaks: 0,
            by_assertion: (0..assertions).map(|a| (a, 0)).collect(),
            general: 0,
        }
    }

    /// Counts a pair in.
    pub fn add(&mut self, pair: &PreferencePair) {
        let (chosen, rejected) = (pair.chosen_text(), pair.rejected_text());
        let question = hash(pair.question());
        self.questions.insert(question);
        self.different.insert((question, hash(chosen)));
        let (long, short) = (self.chosen.add(chosen), self.rejected.add(rejected));
        self.difference += long as f64 - short as f64;
        self.chosen_longer += usize::from(long > short);
        self.leaks += usize::from(mentions(chosen, &self.teacher_names));
        match pair.assertion {
            Some(assertion) => *self.by_assertion.entry(assertion).or_default() += 1,
            None => self.general += 1,
        }
    }

    /// What came so far, in numbers.
    #[must_use]
    pub fn report(self) -> QualityReport {
        let (pairs, assertions) = (self.chosen.lengths.len(), self.by_assertion.len());
        let covered = self.by_assertion.values().filter(|&&n| n > 0).count();
        QualityReport {
            pairs,
            prompts: self.questions.len(),
            repeated: pairs - self.different.len(),
            chosen: self.chosen.report(),
            rejected: self.rejected.report(),
            length_bias: LengthBias {
                mean_difference: if pairs == 0 { 0.0 } else { self.difference / pairs as f64 },
                chosen_longer: share(self.chosen_longer, pairs),
            },
            name_leak_rate: share(self.leaks, pairs),
            assertion_coverage: if assertions == 0 { 1.0 } else { share(covered, assertions) },
            by_assertion: self.by_assertion,
            general: self.general,
        }
    }
}

impl TextReport {
    /// Measures a set of texts: replies, reflections, turns.
    #[must_use]
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tally = TextTally::default();
        texts.into_iter().for_each(|text| {
            tally.add(text);
        });
        tally.report()
    }
}

/// The same for texts that come one at a time.
#[derive(Clone, Debug)]
pub struct TextTally {
    /// In words.
    lengths: Vec<usize>,
    /// Of single words, pairs and threes.
    grams: [Grams; 3],
    repeats: NearDuplicateSearch,
    near_duplicates: usize,
    refused: usize,
    openings: HashMap<String, usize>,
}

/// Different runs of words, by hash, and how many there were.
#[derive(Clone, Debug, Default)]
struct Grams {
    different: HashSet<u64>,
    all: usize,
}

impl Default for TextTally {
    fn default() -> Self {
        Self {
            lengths: Vec::new(),
            grams: Default::default(),
            repeats: NearDuplicates::default().search(),
            near_duplicates: 0,
            refused: 0,
            openings: HashMap::new(),
        }
    }
}

impl TextTally {
    /// Counts a text in; its length in words.
    pub fn add(&mut self, text: &str) -> usize {
        let words = words(text);
        for (n, grams) in (1..).zip(&mut self.grams) {
            for run in words.windows(n) {
                grams.different.insert(hash(&run.join(" ")));
                grams.all += 1;
            }
        }
        if !words.is_empty() {
            let opening = words[..OPENING_WORDS.min(words.len())].join(" ");
            *self.openings.entry(opening).or_default() += 1;
        }
        self.near_duplicates += usize::from(self.repeats.add(text).is_some());
        self.refused += usize::from(is_refusal(text));
        let length = word_count(text);
        self.lengths.push(length);
        length
    }

    /// What came so far, in numbers.
    #[must_use]
    pub fn report(self) -> TextReport {
        let count = self.lengths.len();
        let (openings, opening_concentration) = openings(self.openings);
        let [distinct_1, distinct_2, distinct_3] =
            self.grams.map(|grams| share(grams.different.len(), grams.all));
        TextReport {
            count,
            words: Lengths::of(self.lengths),
            distinct_1,
            distinct_2,
            distinct_3,
            near_duplicate_rate: share(self.near_duplicates, count),
            refusal_rate: share(self.refused, count),
            top_opening_share: share(openings.first().map_or(0, |o| o.count), count),
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

/// The most frequent first words, equal counts in alphabetical order, and the chance that two
/// texts share theirs.
fn openings(counts: HashMap<String, usize>) -> (Vec<Opening>, f64) {
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
