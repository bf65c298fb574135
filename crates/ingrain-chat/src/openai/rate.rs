//! Rate limits: requests and tokens a minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Share of a minute's allowance that may go out at once.
const BURST: f64 = 1.0 / 60.0;

/// The limits of one model; none is no limit.
#[derive(Debug)]
pub(crate) struct RateLimits {
    requests: Option<Mutex<Bucket>>,
    tokens: Option<Mutex<Bucket>>,
}

impl RateLimits {
    pub(crate) fn new(requests_per_minute: Option<u32>, tokens_per_minute: Option<u64>) -> Self {
        let now = Instant::now();
        let bucket = |per_minute: f64| Mutex::new(Bucket::new(per_minute, now));
        Self {
            requests: requests_per_minute.map(|n| bucket(f64::from(n))),
            tokens: tokens_per_minute.map(|n| bucket(n as f64)),
        }
    }

    /// Books one request of `tokens`; it may be sent after the returned time.
    pub(crate) fn book(&self, tokens: u64) -> Duration {
        let now = Instant::now();
        let wait = |bucket: &Option<Mutex<Bucket>>, amount: f64| {
            bucket.as_ref().map_or(Duration::ZERO, |bucket| lock(bucket).take(amount, now))
        };
        wait(&self.requests, 1.0).max(wait(&self.tokens, tokens as f64))
    }

    /// Corrects a booking once it is known how many tokens there were.
    pub(crate) fn correct(&self, booked: u64, used: u64) {
        if let Some(bucket) = &self.tokens {
            lock(bucket).give_back(booked as f64 - used as f64);
        }
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A token bucket that may go below zero: what is owed is waited for.
///
/// Its burst is part of the minute's allowance, so that no minute, whenever it begins, sees more
/// than the limit.
#[derive(Debug)]
struct Bucket {
    capacity: f64,
    per_sec: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_minute: f64, now: Instant) -> Self {
        let capacity = (per_minute * BURST).max(1.0_f64.min(per_minute));
        let per_sec = ((per_minute - capacity) / 60.0).max(per_minute / 120.0);
        Self { capacity, per_sec, level: capacity, at: now }
    }

    fn take(&mut self, amount: f64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_sec).min(self.capacity);
        self.at = now;
        self.level -= amount;
        let owed = (-self.level).max(0.0);
        Duration::try_from_secs_f64(owed / self.per_sec).unwrap_or(Duration::MAX)
    }

    fn give_back(&mut self, amount: f64) {
        self.level = (self.level + amount).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_than_the_limit() {
        let start = Instant::now();
        for limit in [1.0, 10.0, 600.0] {
            let mut bucket = Bucket::new(limit, start);
            // Everything is booked at once; each goes out when its wait is over.
            let sent: Vec<f64> =
                (0..(limit as usize * 4)).map(|_| bucket.take(1.0, start).as_secs_f64()).collect();
            for (i, &from) in sent.iter().enumerate() {
                let within = sent[i..].iter().take_while(|&&at| at < from + 60.0 - 1e-6).count();
                assert!(within as f64 <= limit + 1e-9, "{within} of {limit} from {from}");
            }
            let rate = sent.len() as f64 / sent.last().unwrap().max(60.0) * 60.0;
            assert!(rate > limit * 0.45, "{rate} of {limit}");
        }
    }

    #[test]
    fn tokens_that_were_not_used_are_given_back() {
        let limits = RateLimits::new(None, Some(6_000));
        assert_eq!(limits.book(100), Duration::ZERO);
        let before = limits.book(1_000);
        limits.correct(1_000, 10);
        assert!(limits.book(1_000) < before + Duration::from_millis(200));
    }

    #[test]
    fn without_limits_nothing_waits() {
        let limits = RateLimits::new(None, None);
        assert!((0..1000).all(|_| limits.book(1 << 40) == Duration::ZERO));
    }
}
