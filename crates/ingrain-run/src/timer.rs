//! Wall-clock time of a stage, over interruptions.

use std::time::Instant;

/// Counts the seconds of a stage: those of earlier processes plus those of this one.
///
/// # Examples
/// ```
/// use ingrain_run::StageTimer;
///
/// let mut timer = StageTimer::resumed(30.0);
/// assert!(timer.seconds() >= 30.0);
/// let lap = timer.lap();
/// assert!(lap < 30.0, "a lap holds only time of this process");
/// ```
#[derive(Clone, Debug)]
pub struct StageTimer {
    earlier_seconds: f64,
    start: Instant,
    lap: Instant,
}

impl StageTimer {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self::resumed(0.0)
    }

    /// Starts with the seconds that earlier processes took.
    #[must_use]
    pub fn resumed(earlier_seconds: f64) -> Self {
        let now = Instant::now();
        Self { earlier_seconds, start: now, lap: now }
    }

    /// All seconds, earlier processes included.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.earlier_seconds + self.process_seconds()
    }

    /// Seconds since this timer was made.
    #[must_use]
    pub fn process_seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds since the last lap (or the start), and begins a new one.
    pub fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.lap).as_secs_f64();
        self.lap = now;
        seconds
    }
}
