//! What a client has done.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a client has done so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) requests: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) rate_limits: AtomicU64,
}

impl Counts {
    /// Requests sent, attempts counted one by one.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests sent again after a failure.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Answers that said that the rate limit is reached.
    pub fn rate_limits(&self) -> u64 {
        self.rate_limits.load(Ordering::Relaxed)
    }
}
