//! Time stamps that never go back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The latest time stamp given out by this process, in microseconds since the epoch.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Microseconds since the epoch; at least the value returned before, also when the system clock
/// was set back meanwhile.
pub(crate) fn now_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros() as u64);
    LATEST.fetch_max(now, Ordering::Relaxed).max(now)
}

/// Milliseconds since the epoch as a whole number: `emitted_at` of a RECORD.
pub(crate) fn now_ms() -> u64 {
    now_micros() / 1000
}

/// Milliseconds since the epoch with decimals: `emitted_at` of TRACE and CONTROL.
pub(crate) fn now_ms_decimal() -> f64 {
    now_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_do_not_go_back() {
        let mut last = now_micros();
        for _ in 0..1000 {
            let next = now_micros();
            assert!(next >= last);
            last = next;
        }
        assert!(now_ms() > 1_700_000_000_000);
        assert!(now_ms_decimal() >= last as f64 / 1000.0);
    }
}
