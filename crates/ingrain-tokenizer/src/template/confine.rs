//! Runs the template engine where it can do no harm.
//!
//! Fuel bounds the engine's instructions and memory, but not the depth to which it recurses over an
//! expression or a nested value, and not the time it takes to compare two values that share their
//! parts (a list of itself twice, sixty times over). A thread with a large stack bears the first; a
//! deadline ends the second, for the caller at least.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Reserved, not used: the system hands out pages as they are touched.
const STACK_BYTES: usize = 256 << 20;
/// Real templates take milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Stopped {
    Deadline,
    Panicked,
    NoThread(std::io::Error),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => write!(f, "it takes longer than {} seconds", DEADLINE.as_secs()),
            Self::Panicked => f.write_str("the template engine gave up"),
            Self::NoThread(error) => write!(f, "no thread to run it in: {error}"),
        }
    }
}

/// Runs `work` in a thread of its own. After the deadline the thread is left to itself.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("chat template".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || sender.send(work()))
        .map_err(Stopped::NoThread)?;
    let result = receiver.recv_timeout(DEADLINE).map_err(|error| match error {
        RecvTimeoutError::Timeout => Stopped::Deadline,
        RecvTimeoutError::Disconnected => Stopped::Panicked,
    });
    if !matches!(result, Err(Stopped::Deadline)) {
        // The result is here; only the thread's own end is left to wait for.
        let _ = thread.join();
    }
    result
}
