//! Who was compared with whom, and how it ended.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::StatsError;

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The first item won.
    First,
    /// The second item won.
    Second,
    /// Neither won.
    Tie,
}

/// One comparison of two items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Index of the first item.
    pub first: usize,
    /// Index of the second item, another one.
    pub second: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// Index of the prompt (or conversation, or rater) that it came from. Comparisons of one
    /// cluster are drawn together by a bootstrap.
    pub cluster: usize,
}

/// Comparisons of `items` items from `clusters` prompts, checked and counted by pair.
///
/// # Examples
/// ```
/// use ingrain_stats::{BradleyTerry, Comparison, Comparisons, Outcome};
///
/// // Item 0 wins three of four games.
/// let games = [Outcome::First, Outcome::First, Outcome::Second, Outcome::First];
/// let games: Vec<_> = games
///     .iter()
///     .enumerate()
///     .map(|(cluster, &outcome)| Comparison { first: 0, second: 1, outcome, cluster })
///     .collect();
/// let ratings = BradleyTerry::default().fit(&Comparisons::new(2, 4, games)?)?;
/// // 400 log10(3) = 190.8 points apart.
/// assert!((ratings.points[0] - ratings.points[1] - 190.85).abs() < 0.01);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Comparisons {
    items: usize,
    comparisons: Vec<Comparison>,
    /// The two items of each pair that met, the smaller index first.
    pub(super) pairs: Vec<[usize; 2]>,
    /// Where each comparison counts: its pair, and 0 for the pair's first item, 1 for the second,
    /// 2 for a tie. Sorted by cluster.
    slots: Vec<(u32, u8)>,
    /// Start of each cluster in `slots`, and the end of the last one.
    starts: Vec<u32>,
}

/// Wins of the first item, wins of the second, and ties.
pub(super) type Counts = [f64; 3];

impl Comparisons {
    /// Checks and counts.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without comparisons; [`StatsError::OutOfRange`] for an item or a
    /// cluster that does not exist, or an item compared with itself.
    pub fn new(
        items: usize,
        clusters: usize,
        comparisons: Vec<Comparison>,
    ) -> Result<Self, StatsError> {
        if comparisons.is_empty() {
            let what = "a rating";
            return Err(StatsError::TooFew { what, unit: "comparisons", needed: 1, found: 0 });
        }
        let mut index = HashMap::new();
        let mut pairs = Vec::new();
        let mut starts = vec![0_u32; clusters + 1];
        let mut slots = Vec::with_capacity(comparisons.len());
        for comparison in &comparisons {
            check(comparison, items, clusters)?;
            let Comparison { first, second, outcome, cluster } = *comparison;
            let pair = [first.min(second), first.max(second)];
            let number = *index.entry(pair).or_insert_with(|| {
                pairs.push(pair);
                pairs.len() - 1
            });
            let slot = match (outcome, first < second) {
                (Outcome::Tie, _) => 2,
                (Outcome::First, true) | (Outcome::Second, false) => 0,
                _ => 1,
            };
            slots.push((cluster, (number as u32, slot)));
            starts[cluster + 1] += 1;
        }
        slots.sort_by_key(|&(cluster, _)| cluster);
        let slots = slots.into_iter().map(|(_, slot)| slot).collect();
        for cluster in 0..clusters {
            starts[cluster + 1] += starts[cluster];
        }
        Ok(Self { items, comparisons, pairs, slots, starts })
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of clusters, empty ones included.
    #[must_use]
    pub fn clusters(&self) -> usize {
        self.starts.len() - 1
    }

    /// The comparisons, in the order given.
    #[must_use]
    pub fn as_slice(&self) -> &[Comparison] {
        &self.comparisons
    }

    /// The slots of one cluster: pair and outcome of each of its comparisons.
    pub(super) fn cluster(&self, cluster: usize) -> &[(u32, u8)] {
        &self.slots[self.starts[cluster] as usize..self.starts[cluster + 1] as usize]
    }

    /// Counts by pair, each cluster once.
    pub(super) fn counts(&self) -> Vec<Counts> {
        self.counts_of(0..self.clusters())
    }

    /// Counts by pair of the clusters named, each as often as it is named.
    pub(super) fn counts_of(&self, clusters: impl Iterator<Item = usize>) -> Vec<Counts> {
        let mut counts = vec![[0.0; 3]; self.pairs.len()];
        for cluster in clusters {
            for &(pair, slot) in self.cluster(cluster) {
                counts[pair as usize][usize::from(slot)] += 1.0;
            }
        }
        counts
    }
}

fn check(comparison: &Comparison, items: usize, clusters: usize) -> Result<(), StatsError> {
    let &Comparison { first, second, cluster, .. } = comparison;
    let out = |name, value: usize, range| {
        Err(StatsError::OutOfRange { name, value: value as f64, range })
    };
    if first >= items {
        out("a comparison's first item", first, "0 to the number of items")
    } else if second >= items {
        out("a comparison's second item", second, "0 to the number of items")
    } else if first == second {
        out("a comparison's second item", second, "the items other than its first")
    } else if cluster >= clusters {
        out("a comparison's cluster", cluster, "0 to the number of clusters")
    } else {
        Ok(())
    }
}
