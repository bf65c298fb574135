//! Nested subsets, for data-efficiency curves.

use ingrain_run::derive_seed;

/// The first `limit` items of an order that the seed fixes, in the order of the data: a smaller limit
/// gives a subset of what a larger one gives. Everything without a limit.
pub(crate) fn nested<T>(items: Vec<T>, limit: Option<usize>, seed: u64) -> Vec<T> {
    let Some(limit) = limit.filter(|limit| *limit < items.len()) else { return items };
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&at| derive_seed(seed, "subset", at as u64));
    let mut taken = vec![false; items.len()];
    for &at in &order[..limit] {
        taken[at] = true;
    }
    items.into_iter().zip(taken).filter_map(|(item, taken)| taken.then_some(item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_subsets_lie_within_larger_ones_in_the_order_of_the_data() {
        let items: Vec<u32> = (0..100).collect();
        let [small, large] = [25, 50].map(|limit| nested(items.clone(), Some(limit), 7));
        assert_eq!((small.len(), large.len()), (25, 50));
        assert!(small.iter().all(|item| large.contains(item)));
        assert!(large.is_sorted());
        assert_ne!(nested(items.clone(), Some(25), 8), small);
        assert_eq!(nested(items.clone(), None, 7), items);
        assert_eq!(nested(items.clone(), Some(500), 7), items);
    }
}
