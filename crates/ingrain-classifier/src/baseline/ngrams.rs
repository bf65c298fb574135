//! How much can be told from words and letters, without any understanding.

use std::collections::BTreeMap;

use ingrain_stats::{SoftmaxRegression, SparseRow};
use serde::{Deserialize, Serialize};

use crate::{ClassifierError, Dataset, Learner, Task};

/// Which n-grams are counted, and into how many buckets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NgramConfig {
    /// Longest run of words, from 1. Default 2.
    pub words: usize,
    /// Shortest run of letters within a word and its blanks, from 1. Default 3.
    pub shortest_letters: usize,
    /// Longest such run; below the shortest, none are counted. Default 5.
    pub longest_letters: usize,
    /// Columns that n-grams are hashed into, from 1. Default 65,536.
    pub buckets: usize,
    /// The regression. Default: a penalty of 1e-4.
    pub regression: SoftmaxRegression,
}

impl Default for NgramConfig {
    fn default() -> Self {
        Self {
            words: 2,
            shortest_letters: 3,
            longest_letters: 5,
            buckets: 1 << 16,
            regression: SoftmaxRegression { l2: 1e-4, ..SoftmaxRegression::default() },
        }
    }
}

/// Softmax regression on hashed n-grams of words and letters, in lower case: `1 + ln(count)` of each, and
/// the whole scaled to length 1.
///
/// # Source
/// Weinberger et al. 2009, arXiv:0902.2206 (hashing); the letters' form is `char_wb` of scikit-learn.
#[derive(Clone, Debug)]
pub struct NgramBaseline {
    rows: Vec<SparseRow>,
    config: NgramConfig,
}

impl NgramBaseline {
    /// Counts the n-grams of every example.
    ///
    /// # Errors
    /// [`ClassifierError::Setting`] for no buckets, or n-grams of no length.
    pub fn new(dataset: &Dataset, config: NgramConfig) -> Result<Self, ClassifierError> {
        let counts = [
            ("ngrams.words", config.words),
            ("ngrams.shortest_letters", config.shortest_letters),
            ("ngrams.buckets", config.buckets),
        ];
        if let Some((key, value)) = counts.into_iter().find(|(_, value)| *value == 0) {
            let expected = "a whole number from 1".to_owned();
            return Err(ClassifierError::Setting { key, value: value.to_string(), expected });
        }
        let rows = dataset.examples().iter().map(|example| row(&example.text, &config)).collect();
        Ok(Self { rows, config })
    }
}

impl Learner for NgramBaseline {
    fn learn(&self, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let rows: Vec<SparseRow> = task.train.iter().map(|&i| self.rows[i].clone()).collect();
        let (classes, buckets) = (task.labels.len(), self.config.buckets);
        let fit = self.config.regression.fit(&rows, task.classes, classes, buckets)?;
        Ok(task.asked.iter().map(|&i| fit.logits(&self.rows[i])).collect())
    }
}

fn row(text: &str, config: &NgramConfig) -> SparseRow {
    let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
    let mut count = |kind: u8, gram: &str| {
        let bucket = (fnv1a(kind, gram) % config.buckets as u64) as usize;
        *counts.entry(bucket).or_default() += 1.0;
    };
    let text = text.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '\'';
    let words: Vec<&str> = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    for length in 1..=config.words {
        words.windows(length).for_each(|run| count(b'w', &run.join(" ")));
    }
    for word in text.split_whitespace() {
        let letters: Vec<char> = format!(" {word} ").chars().collect();
        for length in config.shortest_letters..=config.longest_letters {
            for run in letters.windows(length) {
                count(b'c', &run.iter().collect::<String>());
            }
        }
    }
    let mut row: SparseRow = counts.into_iter().map(|(bucket, n)| (bucket, 1.0 + n.ln())).collect();
    let length = row.iter().map(|(_, x)| x * x).sum::<f64>().sqrt();
    row.iter_mut().for_each(|(_, x)| *x /= length);
    row
}

/// The 64-bit hash of Fowler, Noll and Vo: the same on every machine, forever.
fn fnv1a(kind: u8, text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    std::iter::once(kind)
        .chain(text.bytes())
        .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // FNV-1a of "a" and of "foobar", as listed by its authors.
        assert_eq!(fnv1a(b'a', ""), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b'f', "oobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn rows_have_length_1_and_know_words_and_letters() {
        let config = NgramConfig { buckets: 1 << 30, ..NgramConfig::default() };
        // "a", "bc", "a bc"; " a ", " bc", "bc ", " bc ".
        let found = row("A, bc", &NgramConfig { longest_letters: 4, ..config });
        // The comma stands in " a," and "a, " and " a, ".
        assert_eq!(found.len(), 3 + 3 + 3);
        let length: f64 = found.iter().map(|(_, x)| x * x).sum();
        assert!((length - 1.0).abs() < 1e-12);
        assert!(row("?", &config).iter().all(|(_, x)| x.is_finite()));
        assert!(row("", &config).is_empty());
    }
}
