//! How the learning rate changes over a run.

use serde::{Deserialize, Serialize};

/// Shape of the decay after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Half a cosine from 1 to `min_lr_ratio` (the paper's choice).
    #[default]
    Cosine,
    /// A straight line from 1 to `min_lr_ratio`.
    Linear,
    /// No decay; `min_lr_ratio` is not used.
    Constant,
}

/// Linear warm-up, then a decay to a floor.
///
/// Step `s`, counted from 1, of `total` steps, `w = ceil(warmup_ratio * total)`:
///
/// - `s <= w`: `peak * s / w`, so that the first step already learns something (schedulers that
///   count from 0 spend it at a rate of zero);
/// - after: `peak * (min + (1 - min) * (1 + cos(pi * t)) / 2)` with `t = (s - w) / (total - w)`,
///   so that the last step runs at `peak * min`.
///
/// # Examples
/// ```
/// use ingrain_train::{Decay, Schedule};
///
/// let schedule =
///     Schedule { peak: 1e-3, warmup_ratio: 0.1, min_lr_ratio: 0.1, decay: Decay::Cosine };
/// assert_eq!(schedule.learning_rate(1, 20), 5e-4);
/// assert_eq!(schedule.learning_rate(2, 20), 1e-3);
/// assert!((schedule.learning_rate(20, 20) - 1e-4).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Highest learning rate, above 0.
    pub peak: f64,
    /// Share of all steps spent warming up, 0 to 1.
    pub warmup_ratio: f64,
    /// Floor as a share of `peak`, 0 to 1.
    pub min_lr_ratio: f64,
    /// Shape of the decay.
    pub decay: Decay,
}

impl Schedule {
    /// Learning rate of `step`, counted from 1, in a run of `total` steps.
    #[must_use]
    pub fn learning_rate(&self, step: u64, total: u64) -> f64 {
        let warmup = (self.warmup_ratio * total as f64).ceil();
        let step = step as f64;
        if step <= warmup {
            return self.peak * step / warmup;
        }
        let progress = (step - warmup) / (total as f64 - warmup).max(1.0);
        let share = match self.decay {
            Decay::Cosine => (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos()) / 2.0,
            Decay::Linear => 1.0 - progress.min(1.0),
            Decay::Constant => return self.peak,
        };
        self.peak * (self.min_lr_ratio + (1.0 - self.min_lr_ratio) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { peak: 2.0, warmup_ratio: 0.25, min_lr_ratio: 0.1, decay }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn warm_up_rises_in_equal_steps_to_the_peak() {
        for (step, expected) in [(1, 0.4), (2, 0.8), (3, 1.2), (4, 1.6), (5, 2.0)] {
            close(schedule(Decay::Cosine).learning_rate(step, 20), expected);
        }
    }

    #[test]
    fn cosine_is_half_way_at_half_time_and_ends_on_the_floor() {
        // 8 steps, 2 of warm-up: step 5 is half way through the 6 that decay.
        close(schedule(Decay::Cosine).learning_rate(5, 8), 2.0 * (0.1 + 0.9 * 0.5));
        close(schedule(Decay::Cosine).learning_rate(8, 8), 0.2);
    }

    #[test]
    fn linear_falls_by_the_same_amount_each_step() {
        let s = schedule(Decay::Linear);
        let fall = s.learning_rate(3, 8) - s.learning_rate(4, 8);
        close(s.learning_rate(6, 8) - s.learning_rate(7, 8), fall);
        close(s.learning_rate(8, 8), 0.2);
    }

    #[test]
    fn constant_stays_at_the_peak_after_the_warm_up() {
        close(schedule(Decay::Constant).learning_rate(19, 20), 2.0);
    }

    #[test]
    fn a_run_of_one_step_runs_at_the_peak() {
        close(schedule(Decay::Cosine).learning_rate(1, 1), 2.0);
        let cold = Schedule { warmup_ratio: 0.0, ..schedule(Decay::Constant) };
        close(cold.learning_rate(1, 1), 2.0);
    }
}
