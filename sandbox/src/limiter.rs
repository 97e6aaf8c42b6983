//! The enforced request rate: one token bucket an API.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket that holds `rate` tokens and gains `rate` tokens a second.
#[derive(Debug)]
pub struct Limiter {
    rate: f64,
    state: Mutex<(f64, Instant)>,
}

impl Limiter {
    /// A full bucket for `rate` requests a second.
    pub fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate);
        Self { rate, state: Mutex::new((rate, now)) }
    }

    /// Takes a token; false when there is none at `now`.
    pub fn allow(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(state.1).as_secs_f64() * self.rate;
        let tokens = (state.0 + gained).min(self.rate);
        let allowed = tokens >= 1.0;
        *state = (if allowed { tokens - 1.0 } else { tokens }, now.max(state.1));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_of_the_capacity_then_the_rate() {
        let start = Instant::now();
        let limiter = Limiter::new(25, start);
        let burst = (0..100).filter(|_| limiter.allow(start)).count();
        assert_eq!(burst, 25);
        let later =
            (1..=1000).filter(|i| limiter.allow(start + Duration::from_millis(10 * i))).count();
        assert!((248..=250).contains(&later), "10 s at 25/s let {later} requests through");
    }
}
