//! Memory stays the same however much there is to read, and however slowly it is taken.

use std::time::{Duration, Instant};

use e2e::{Running, Stripe};

/// The most that a read may use, in KiB.
const LIMIT: u64 = 48 << 10;

/// Reads to the end and tells the peak of memory in KiB.
fn peak_of(mut running: Running) -> u64 {
    let (mut lines, mut peak) = (0, 0);
    while running.line().is_some() {
        lines += 1;
        // The output is longer than what pipes and buffers hold, so it still runs at most of these.
        if lines % 500 == 0 {
            peak = running.peak_memory().unwrap_or(peak);
            running.forget();
        }
    }
    assert_eq!(running.finish().code, Some(0));
    peak
}

#[test]
fn case_29_three_times_the_rows_need_no_more_memory() {
    let peak = |rows| peak_of(Stripe::of_rows(rows).read(&["charges"]).spawn());
    let (some, more) = (peak(9_000), peak(27_000));
    assert!(some > 1 << 10, "memory cannot be measured: {some} KiB");
    assert!(more <= some + some / 8, "{some} KiB for 9,000 rows, {more} KiB for 27,000");
    assert!(more < LIMIT, "{more} KiB");
}

#[test]
fn a_reader_that_stops_reading_holds_everything_up() {
    let stripe = Stripe::of_rows(8_000);
    let mut running = stripe.read(&["charges"]).spawn();
    running.until("\"RECORD\"");
    let stalled = until_quiet(|| stripe.requests().all.total);
    // Pages on their way, and what fits into buffers: far from the 80 that there are.
    assert!(stalled < 45, "{stalled} requests although nobody reads");
    assert!(running.peak_memory().is_some_and(|peak| peak < LIMIT));
    let read = running.finish().succeeded();
    assert_eq!(read.rows("charges").len(), 8_000);
}

/// The value once it has stayed the same for a while.
fn until_quiet(value: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (value(), Instant::now());
    while since.elapsed() < Duration::from_millis(400) {
        std::thread::sleep(Duration::from_millis(20));
        let now = value();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
