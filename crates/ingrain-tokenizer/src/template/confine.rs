//! Runs the template engine where it can do little harm.
//!
//! Fuel bounds the engine's instructions and what they allocate, but not the depth to which it
//! recurses over an expression or a nested value. A thread with a large stack bears that.
//!
//! One thing is bounded by nothing: a list that holds another one twice, sixty times over, is small,
//! and comparing it, or turning it into text with `~`, is endless. A deadline ends that for the
//! caller; the thread goes on until the process ends, and may go on allocating. No template does
//! such a thing by accident.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Reserved, not used: the system hands out pages as they are touched.
const STACK_BYTES: usize = 256 << 20;
/// Real templates take milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

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
    within(DEADLINE, work)
}

fn within<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("chat template".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || sender.send(work()))
        .map_err(Stopped::NoThread)?;
    let result = receiver.recv_timeout(deadline).map_err(|error| match error {
        RecvTimeoutError::Timeout => Stopped::Deadline,
        RecvTimeoutError::Disconnected => Stopped::Panicked,
    });
    if !matches!(result, Err(Stopped::Deadline)) {
        // The result is here; only the thread's own end is left to wait for.
        let _ = thread.join();
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::{Stopped, run, within};

    #[test]
    fn results_come_back() {
        assert_eq!(run(|| 6 * 7).unwrap(), 42);
    }

    #[test]
    fn work_without_an_end_is_left_at_the_deadline() {
        let (sender, receiver) = channel::<()>();
        let result = within(Duration::from_millis(20), move || receiver.recv());
        assert!(matches!(result, Err(Stopped::Deadline)));
        drop(sender);
    }

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        let result = run(|| assert_eq!(1 + 1, 3));
        assert_eq!(result.unwrap_err().to_string(), "the template engine gave up");
    }
}
