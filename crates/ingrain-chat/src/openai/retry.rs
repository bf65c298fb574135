//! When to try again: exponential back-off with jitter, and what servers ask for.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{DATE, HeaderValue, RETRY_AFTER};

use super::config::RetryPolicy;

impl RetryPolicy {
    /// Pause after `failed` attempts (at least 1): between half and all of the back-off, so that
    /// requests that failed together do not come back together.
    pub(crate) fn backoff(&self, failed: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(30);
        let full = self.first_backoff_secs * f64::from(1_u32 << doublings);
        let full = full.min(self.max_backoff_secs).max(0.0);
        Duration::try_from_secs_f64(full * (0.5 + 0.5 * random_unit())).unwrap_or_default()
    }
}

/// How long a server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.
///
/// A date counts from the server's own `Date`, so that a wrong clock on either side does no harm.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: &HeaderValue| value.to_str().ok().map(|text| text.trim().to_owned());
    let millis = headers.get("retry-after-ms").and_then(text);
    if let Some(millis) = millis.and_then(|ms| ms.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let value = headers.get(RETRY_AFTER).and_then(text)?;
    if let Ok(secs) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(secs).ok();
    }
    let until = httpdate::parse_http_date(&value).ok()?;
    let now = headers.get(DATE).and_then(text).and_then(|d| httpdate::parse_http_date(&d).ok());
    Some(until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

/// A number in 0..1 that nothing but pauses depends on.
fn random_unit() -> f64 {
    // A fresh RandomState has fresh keys.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_jitters_within_half() {
        let policy =
            RetryPolicy { first_backoff_secs: 1.0, max_backoff_secs: 5.0, ..Default::default() };
        for (failed, full) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (40, 5.0)] {
            for _ in 0..50 {
                let pause = policy.backoff(failed).as_secs_f64();
                assert!((full / 2.0..=full).contains(&pause), "{failed}: {pause}");
            }
        }
        let first = policy.backoff(3);
        assert!((0..50).any(|_| policy.backoff(3) != first));
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        let secs =
            |pairs: &[(&'static str, &str)]| retry_after(&headers(pairs)).map(|d| d.as_secs_f64());
        assert_eq!(secs(&[("retry-after", "7")]), Some(7.0));
        assert_eq!(secs(&[("retry-after", " 0.5 ")]), Some(0.5));
        assert_eq!(secs(&[("retry-after-ms", "250"), ("retry-after", "7")]), Some(0.25));
        let date = ("date", "Tue, 01 Jan 2030 00:00:00 GMT");
        assert_eq!(secs(&[date, ("retry-after", "Tue, 01 Jan 2030 00:01:30 GMT")]), Some(90.0));
        assert_eq!(secs(&[date, ("retry-after", "Mon, 31 Dec 2029 23:00:00 GMT")]), Some(0.0));
        for junk in ["-3", "NaN", "1e300", "soon", ""] {
            assert_eq!(secs(&[("retry-after", junk)]), None, "{junk}");
        }
        assert_eq!(secs(&[]), None);
    }
}
