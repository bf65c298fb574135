//! Independent passes side by side.

/// Calls `work` for every item, each in a thread of its own where there are several; results are in
/// the order of the items.
///
/// Burn's CPU back end runs element-wise work on the calling thread alone, so two passes on two cores
/// take little longer than one. The results do not depend on the number of threads.
///
/// # Panics
/// If `work` panics.
///
/// # Examples
/// ```
/// assert_eq!(ingrain_lm::side_by_side(&[1, 2, 3], |n| n * n), [1, 4, 9]);
/// ```
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if let [only] = items {
        return vec![work(only)];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
