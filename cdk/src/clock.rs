//! Time as the kit sees it, so that tests can run hours in an instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Tells the time and waits.
///
/// Waiting goes through tokio's timer: a test under a paused runtime sees it pass at
/// once, and [`Clock::fixed`] makes the wall clock follow that timer.
///
/// A clock also learns the server's time ([`Clock::observe_server`]), since cursors are
/// compared with times that the server wrote: a local clock that runs ahead must not
/// make a connector believe that it has read what does not exist yet.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Wall time at an instant; `None` reads the system's wall clock.
    fixed: Option<(DateTime<Utc>, Instant)>,
    /// Server time minus local time, ms; `i64::MIN` while unknown.
    server_offset: AtomicI64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(None)
    }

    /// A clock that stands at `now` and moves with tokio's timer, for tests.
    pub fn fixed(now: DateTime<Utc>) -> Self {
        Self::new(Some((now, Instant::now())))
    }

    fn new(fixed: Option<(DateTime<Utc>, Instant)>) -> Self {
        Clock(Arc::new(Inner { fixed, server_offset: AtomicI64::new(i64::MIN) }))
    }

    /// Local wall time.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0.fixed {
            None => Utc::now(),
            Some((start, at)) => {
                start + TimeDelta::from_std(at.elapsed()).unwrap_or(TimeDelta::MAX)
            }
        }
    }

    /// The server's wall time, as far as an answer has told it; local time until then.
    pub fn server_now(&self) -> DateTime<Utc> {
        match self.0.server_offset.load(Ordering::Relaxed) {
            i64::MIN => self.now(),
            offset => self.now() + TimeDelta::milliseconds(offset),
        }
    }

    /// Takes note of the time that a server stated (the `Date` header, one second
    /// resolution). Differences of up to two seconds say nothing and count as none.
    pub fn observe_server(&self, server: DateTime<Utc>) {
        let offset = (server - self.now()).num_milliseconds();
        let offset = if offset.abs() <= 2_000 { 0 } else { offset };
        self.0.server_offset.store(offset, Ordering::Relaxed);
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_the_timer_and_the_server() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = Clock::fixed(start);
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), start + TimeDelta::hours(1));
        assert_eq!(clock.server_now(), clock.now());
        clock.observe_server(start);
        clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(clock.server_now(), start + TimeDelta::seconds(10));
        clock.observe_server(clock.now() + TimeDelta::seconds(1));
        assert_eq!(clock.server_now(), clock.now());
    }
}
