//! The virtual clock: starts at a fixed moment, runs with real time, can be moved forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, SecondsFormat};

/// 2026-11-01T00:00:00Z, the moment a sandbox starts at unless told otherwise.
pub const DEFAULT_START: i64 = 1_793_491_200;

/// A clock that starts at a chosen moment, a whole unix second.
#[derive(Debug)]
pub struct Clock {
    start: i64,
    origin: Instant,
    advanced: AtomicI64,
}

impl Clock {
    /// A clock that shows `start` (unix seconds) now.
    pub fn new(start: i64) -> Self {
        Self { start, origin: Instant::now(), advanced: AtomicI64::new(0) }
    }

    /// The moment the clock was started at, unix seconds.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The virtual time, unix seconds.
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// The virtual time, unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX / 2);
        (self.start + self.advanced.load(Ordering::SeqCst)) * 1000 + elapsed
    }

    /// Moves the clock forward by `seconds` (it never goes back) and returns the new time.
    pub fn advance(&self, seconds: u32) -> i64 {
        self.advanced.fetch_add(i64::from(seconds), Ordering::SeqCst);
        self.now()
    }
}

/// `2026-11-01T00:00:00Z` or `now` into unix seconds.
pub fn parse_start(text: &str) -> Result<i64, String> {
    if text == "now" {
        return Ok(chrono::Utc::now().timestamp());
    }
    DateTime::parse_from_rfc3339(text).map(|t| t.timestamp()).map_err(|e| {
        format!("{text:?} is neither `now` nor a date-time such as 2026-11-01T00:00:00Z: {e}")
    })
}

/// Unix seconds in the form of the HTTP `Date` header.
pub fn http_date(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Unix seconds as `2026-11-01T00:00:00Z`.
pub fn rfc3339(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_where_told_and_only_moves_forward() {
        let clock = Clock::new(DEFAULT_START);
        let before = clock.now();
        assert!(before >= DEFAULT_START);
        assert!(clock.advance(3600) >= before + 3600);
    }

    #[test]
    fn reads_and_writes_dates() {
        assert_eq!(parse_start("2026-11-01T00:00:00Z"), Ok(DEFAULT_START));
        assert!(parse_start("yesterday").is_err());
        assert_eq!(http_date(DEFAULT_START), "Sun, 01 Nov 2026 00:00:00 GMT");
        assert_eq!(rfc3339(DEFAULT_START), "2026-11-01T00:00:00Z");
    }
}
