//! Integration tests of `ingrain-constitution`.

mod composition;
mod diagnostics;
mod hostile;
mod interchange;
mod lint_examples;
mod personas;
mod prompts;
mod properties;
#[cfg(feature = "schema")]
mod schema;
mod speed;
mod teacher;

/// Processor time of this thread, where the system says it in a file, else the time that has
/// passed: bounds on work should hold on a busy machine too.
fn thread_time() -> std::time::Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| START.elapsed(), std::time::Duration::from_nanos)
}
