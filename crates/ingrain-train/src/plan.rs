//! Which examples make up which step.
//!
//! An epoch's plan is a pure function of the sizes of the examples, the settings, the seed and
//! the number of the epoch; nothing about it needs to be saved.

use crate::shuffle::SplitMix64;

/// What an example takes up in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExampleSize {
    /// Rows of the example: 1 for a transcript, 2 for a preference pair, 1 where its sequences share one.
    pub rows: usize,
    /// Tokens of its longest row.
    pub width: usize,
}

/// Settings of [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Examples of one optimiser step.
    pub batch_size: usize,
    /// Most tokens, padding included, in one forward pass. A single example above it still gets
    /// a pass of its own.
    pub micro_batch_tokens: usize,
    /// How many batches' worth of shuffled examples are sorted by length together. 1 keeps
    /// batches random; more makes them more even in length.
    pub window_batches: usize,
    /// Seed of the order.
    pub seed: u64,
}

/// The examples of one optimiser step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Groups that go through the model together, the longest sequences first.
    pub micro_batches: Vec<Vec<usize>>,
}

impl Batch {
    /// All examples of the step.
    pub fn examples(&self) -> impl Iterator<Item = usize> {
        self.micro_batches.iter().flatten().copied()
    }
}

/// Length-aware batches for every epoch of a run.
///
/// Each epoch is shuffled, cut into windows, each window sorted by length and cut into batches,
/// and the batches shuffled again; so every example appears once an epoch, batches hold
/// sequences of similar length, and their order says nothing about length.
///
/// # Examples
/// ```
/// use ingrain_train::{Batching, ExampleSize, Plan};
///
/// let sizes = vec![ExampleSize { rows: 2, width: 100 }; 10];
/// let settings = Batching { batch_size: 4, micro_batch_tokens: 400, window_batches: 8, seed: 1 };
/// let plan = Plan::new(sizes, settings);
/// assert_eq!(plan.steps_per_epoch(), 3);
/// let epoch = plan.epoch(0);
/// assert!(epoch[0].micro_batches.iter().all(|group| group.len() <= 2)); // 2 pairs x 2 x 100
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    sizes: Vec<ExampleSize>,
    /// Which of them take part.
    examples: Vec<usize>,
    batching: Batching,
}

impl Plan {
    /// Plans over examples of these sizes. Zero settings count as 1.
    #[must_use]
    pub fn new(sizes: Vec<ExampleSize>, batching: Batching) -> Self {
        let examples = (0..sizes.len()).collect();
        Self::over(sizes, examples, batching)
    }

    /// Plans over some of the examples.
    ///
    /// # Panics
    /// In [`epoch`](Self::epoch), if an example has no size.
    #[must_use]
    pub fn over(sizes: Vec<ExampleSize>, examples: Vec<usize>, batching: Batching) -> Self {
        let batching = Batching {
            batch_size: batching.batch_size.max(1),
            window_batches: batching.window_batches.max(1),
            ..batching
        };
        Self { sizes, examples, batching }
    }

    /// Optimiser steps of one epoch; the last batch of examples may be smaller.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        self.examples.len().div_ceil(self.batching.batch_size)
    }

    /// The batches of one epoch, counted from 0.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Vec<Batch> {
        let mut rng = SplitMix64::new(self.batching.seed, epoch);
        let mut order = self.examples.clone();
        rng.shuffle(&mut order);
        let window = self.batching.batch_size.saturating_mul(self.batching.window_batches);
        for examples in order.chunks_mut(window) {
            // Stable: examples of one length stay in shuffled order.
            examples.sort_by_key(|&i| std::cmp::Reverse(self.sizes[i].width));
        }
        // Windows are a multiple of the batch size, so only the last batch can be short.
        let mut batches: Vec<Batch> =
            order.chunks(self.batching.batch_size).map(|examples| self.split(examples)).collect();
        rng.shuffle(&mut batches);
        batches
    }

    /// Text that names this plan: same text, same batches.
    #[must_use]
    pub(crate) fn description(&self) -> String {
        format!("{:?} {:?} {:?}", self.batching, self.sizes, self.examples)
    }

    /// Cuts examples, sorted by falling width, into groups within the token budget.
    fn split(&self, examples: &[usize]) -> Batch {
        let mut micro_batches: Vec<Vec<usize>> = Vec::new();
        let mut rows = 0;
        let mut width = 0;
        for &example in examples {
            let size = self.sizes[example];
            let wider = width.max(size.width);
            let fits = (rows + size.rows) * wider <= self.batching.micro_batch_tokens;
            match micro_batches.last_mut() {
                Some(group) if fits => {
                    group.push(example);
                    rows += size.rows;
                    width = wider;
                }
                _ => {
                    micro_batches.push(vec![example]);
                    rows = size.rows;
                    width = size.width;
                }
            }
        }
        Batch { micro_batches }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(widths: &[usize], batch_size: usize, micro_batch_tokens: usize) -> Plan {
        let sizes = widths.iter().map(|&width| ExampleSize { rows: 2, width }).collect();
        Plan::new(sizes, Batching { batch_size, micro_batch_tokens, window_batches: 4, seed: 7 })
    }

    fn widths() -> Vec<usize> {
        (0..53).map(|i| 20 + (i * 37) % 91).collect()
    }

    #[test]
    fn every_example_appears_once_an_epoch() {
        for epoch in 0..3 {
            let batches = plan(&widths(), 8, 600).epoch(epoch);
            assert_eq!(batches.len(), 7);
            let mut seen: Vec<usize> = batches.iter().flat_map(Batch::examples).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..53).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_plan_over_some_examples_leaves_the_others_out() {
        let sizes = widths().into_iter().map(|width| ExampleSize { rows: 2, width }).collect();
        let batching =
            Batching { batch_size: 4, micro_batch_tokens: 600, window_batches: 4, seed: 7 };
        let batches = Plan::over(sizes, vec![3, 9, 27, 50, 51], batching).epoch(0);
        let mut seen: Vec<usize> = batches.iter().flat_map(Batch::examples).collect();
        seen.sort_unstable();
        assert_eq!(seen, [3, 9, 27, 50, 51]);
    }

    #[test]
    fn an_epoch_is_the_same_each_time_and_unlike_the_next() {
        let plan = plan(&widths(), 8, 600);
        assert_eq!(plan.epoch(3), plan.epoch(3));
        assert_ne!(plan.epoch(3), plan.epoch(4));
    }

    #[test]
    fn micro_batches_keep_within_the_padded_budget() {
        let widths = widths();
        for batch in plan(&widths, 8, 600).epoch(0) {
            for group in &batch.micro_batches {
                let widest = group.iter().map(|&i| widths[i]).max().expect("not empty");
                assert!(group.len() * 2 * widest <= 600, "{group:?}");
            }
        }
    }

    #[test]
    fn an_example_above_the_budget_gets_a_pass_of_its_own() {
        let batch = &plan(&[500, 10, 10], 3, 100).epoch(0)[0];
        assert_eq!(batch.micro_batches[0], [0]);
        assert_eq!(batch.micro_batches[1].len(), 2);
    }

    #[test]
    fn sorting_in_windows_wastes_less_on_padding() {
        let widths = widths();
        let padded = |window_batches| -> usize {
            let sizes = widths.iter().map(|&width| ExampleSize { rows: 1, width }).collect();
            let batching =
                Batching { batch_size: 4, micro_batch_tokens: 10_000, window_batches, seed: 7 };
            let batches = Plan::new(sizes, batching).epoch(0);
            let widest = |b: &Batch| b.examples().map(|i| widths[i]).max().unwrap_or(0);
            batches.iter().map(|b| b.examples().count() * widest(b)).sum()
        };
        assert!(padded(8) < padded(1), "{} {}", padded(8), padded(1));
    }

    #[test]
    fn the_length_of_a_batch_does_not_depend_on_its_place() {
        // Sorted windows alone would put the longest batch first, every time.
        let widths: Vec<usize> = (0..64).collect();
        let longest_first = (0..20).filter(|&epoch| {
            plan(&widths, 8, 10_000).epoch(epoch)[0].examples().any(|i| widths[i] == 63)
        });
        assert!(longest_first.count() < 10);
    }
}
