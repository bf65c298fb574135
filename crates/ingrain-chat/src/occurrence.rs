//! Telling apart equal requests of one call.

use std::collections::HashMap;
use std::hash::Hash;

/// Numbers equal items: the first of its kind is 0, the next one equal to it 1, and so on.
///
/// This is the sample index of requests that carry none: asking one question five times in one call
/// means samples 0 to 4, whatever else the call holds.
pub(crate) fn occurrences<K: Eq + Hash>(items: impl IntoIterator<Item = K>) -> Vec<usize> {
    let mut seen: HashMap<K, usize> = HashMap::new();
    let number = |item| {
        let count = seen.entry(item).or_default();
        *count += 1;
        *count - 1
    };
    items.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_items_are_numbered_apart() {
        assert_eq!(occurrences(["a", "b", "a", "a", "b"]), [0, 0, 1, 2, 1]);
    }
}
