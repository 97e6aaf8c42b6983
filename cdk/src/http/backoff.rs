//! Waiting times between attempts, and what a server says about them.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};

/// When to give up and how long to wait before: exponential backoff with full jitter,
/// capped in attempts and in total time.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// Upper bound of the first wait; it doubles with each attempt.
    pub base: Duration,
    /// Upper bound of any wait.
    pub cap: Duration,
    /// No further attempt once this much time has passed since the first.
    pub total: Duration,
    /// How long rate limits may hold a request up in all; they do not count as attempts.
    pub rate_limit_total: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts over up to fifteen minutes; rate limits are ridden out for a day.
    fn default() -> Self {
        RetryPolicy {
            attempts: 10,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(60),
            total: Duration::from_secs(15 * 60),
            rate_limit_total: Duration::from_secs(24 * 3600),
        }
    }
}

impl RetryPolicy {
    /// For interactive use, such as `check`: an answer within some seconds.
    pub fn brief() -> Self {
        RetryPolicy {
            attempts: 3,
            total: Duration::from_secs(30),
            rate_limit_total: Duration::from_secs(60),
            ..Self::default()
        }
    }

    /// The upper bound of the wait after failed attempt number `failed` (from 1).
    pub fn bound(&self, failed: u32) -> Duration {
        ExponentialBuilder::new()
            .with_min_delay(self.base)
            .with_max_delay(self.cap)
            .without_max_times()
            .build()
            // Past 64 doublings the cap has long been reached.
            .nth(failed.clamp(1, 64) as usize - 1)
            .unwrap_or(self.cap)
    }

    /// A random wait between zero and [`RetryPolicy::bound`].
    pub fn delay(&self, failed: u32) -> Duration {
        self.bound(failed).mul_f64(fastrand::f64())
    }
}

/// `Retry-After` as a wait: seconds (decimals are understood) or an HTTP date, taken
/// relative to `now`. Dates in the past mean no wait. Sizes beyond a day are cut to a day.
///
/// See RFC 9110, section "Retry-After".
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, DAY)));
    }
    let wait = (http_date(value)? - now).num_milliseconds() as f64 / 1000.0;
    Some(Duration::from_secs_f64(wait.clamp(0.0, DAY)))
}

/// An HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`) or an RFC 3339 one.
pub fn http_date(value: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(value)
        .or_else(|_| DateTime::parse_from_rfc3339(value))
        .ok()
        .map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_double_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let bounds: Vec<f64> = (1..=9).map(|n| policy.bound(n).as_secs_f64()).collect();
        assert_eq!(bounds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    }

    #[test]
    fn retry_after_in_seconds_and_dates() {
        let now = DateTime::from_timestamp(784_111_777, 0).unwrap();
        let wait = |value| retry_after(value, now);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("-3"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("NaN"), None);
    }

    proptest! {
        #[test]
        fn delays_stay_in_bounds(failed in 0u32..1_000_000) {
            let policy = RetryPolicy::default();
            let delay = policy.delay(failed);
            prop_assert!(delay <= policy.bound(failed) && delay <= policy.cap);
        }

        #[test]
        fn any_header_is_safe(value in ".*") {
            if let Some(wait) = retry_after(&value, Utc::now()) {
                prop_assert!(wait <= Duration::from_secs(86_400));
            }
        }
    }
}
