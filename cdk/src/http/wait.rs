//! Waiting: cut short by the signal to stop, announced when it takes long, and kept alive
//! when it takes hours.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airbyte_protocol::{Context, Error};
use chrono::TimeDelta;
use tokio::time::Instant;
use tracing::warn;

use crate::clock::Clock;

/// Waits longer than this are announced to the orchestrator.
const ANNOUNCE: Duration = Duration::from_secs(5);
/// How often a state is repeated during a very long wait, so that no orchestrator takes
/// it for a hang (the shortest known limit is an hour).
const HEARTBEAT: Duration = Duration::from_secs(20 * 60);

/// How the tasks of one client wait.
pub(super) struct Waits {
    context: Context,
    clock: Clock,
    news: Mutex<News>,
}

/// What the orchestrator was told, for all tasks that wait.
struct News {
    /// Until when the announced wait lasts.
    announced: Option<Instant>,
    heartbeat: Instant,
}

impl Waits {
    pub(super) fn new(context: Context, clock: Clock) -> Self {
        let news = News { announced: None, heartbeat: Instant::now() };
        Waits { context, clock, news: Mutex::new(news) }
    }

    /// Waits for a budget's slot or the end of its pause; a long wait is announced, once for
    /// all tasks.
    ///
    /// # Errors
    /// When the signal to stop comes.
    pub(super) async fn for_budget(&self, until: Instant, name: &str) -> Result<(), Error> {
        let wait = until.saturating_duration_since(Instant::now());
        if wait <= ANNOUNCE {
            return self.sleep_until(until).await;
        }
        self.announce(until, wait, name);
        self.sleep_until(until).await?;
        if self.news().announced.take_if(|announced| *announced <= until).is_some() {
            self.context.output.resumed();
        }
        Ok(())
    }

    /// Waits; very long waits are kept alive.
    ///
    /// # Errors
    /// When the signal to stop comes.
    pub(super) async fn sleep_until(&self, until: Instant) -> Result<(), Error> {
        loop {
            let piece = until.min(Instant::now() + HEARTBEAT);
            self.or_stop(tokio::time::sleep_until(piece)).await?;
            if piece == until {
                return Ok(());
            }
            self.heartbeat();
        }
    }

    /// What `work` gives, unless the signal to stop comes before.
    ///
    /// # Errors
    /// When the signal to stop comes.
    pub(super) async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.context.shutdown.cancelled() => Err(stopped()),
            value = work => Ok(value),
        }
    }

    fn announce(&self, until: Instant, wait: Duration, name: &str) {
        let mut news = self.news();
        // A second matters to nobody: later waits of the same pause are not news.
        if news.announced.is_some_and(|known| known + Duration::from_secs(1) >= until) {
            return;
        }
        news.announced = Some(until);
        let reset = self.clock.now() + TimeDelta::from_std(wait).unwrap_or_default();
        warn!(
            "Rate limit of {name} reached: going on at {} (in {:.0} s).",
            reset.to_rfc3339(),
            wait.as_secs_f64()
        );
        self.context.output.rate_limited(Some(reset));
    }

    /// Of all tasks that wait, one gives the sign of life.
    fn heartbeat(&self) {
        let mut news = self.news();
        if news.heartbeat.elapsed() >= HEARTBEAT {
            news.heartbeat = Instant::now();
            self.context.output.heartbeat();
        }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of work that was cut short by a signal.
pub(crate) fn stopped() -> Error {
    Error::transient(
        "The read was stopped by a signal before it was complete. It goes on from its last state.",
    )
}
