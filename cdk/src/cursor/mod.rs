//! Cursors: points in time as an API writes them, and slices of a time range.
//!
//! Inside the kit a point in time is a number of microseconds since the epoch, which
//! compares as it should whatever the API's text looks like; ranges of them are half-open
//! [`Span`]s.
//!
//! ```
//! # use cdk::cursor::{CursorFormat, Step, slices};
//! # use cdk::range::Span;
//! let format = CursorFormat::Date;
//! let range = Span::new(format.parse("2026-01-31").unwrap(), format.parse("2026-03-10").unwrap());
//! let asked: Vec<_> = slices(range, Step::Months(1))
//!     .map(|slice| (format.text(slice.start), format.last_text(slice)))
//!     .collect();
//! assert_eq!(asked[0], ("2026-01-31".into(), "2026-02-27".into()));
//! assert_eq!(asked[1], ("2026-02-28".into(), "2026-03-09".into()));
//! ```

mod format;

use chrono::{DateTime, Months, TimeDelta};

use crate::range::Span;

pub use format::{CursorFormat, Pattern};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub const DAY: i64 = 86_400 * SECOND;

/// How long a slice of a time range is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    /// The range is not sliced.
    #[default]
    Whole,
    /// Always the same time. Days are UTC days of 24 hours.
    Fixed(TimeDelta),
    /// Calendar months, counted from the start of the range: from January 31 the second
    /// slice begins on the last day of February.
    Months(u32),
}

impl Step {
    /// So many days.
    pub fn days(days: u32) -> Self {
        Step::Fixed(TimeDelta::days(days.into()))
    }

    /// Where slice number `number` of a range from `start` begins. Past what dates can say,
    /// the end of time.
    fn boundary(self, start: i64, number: u32) -> i64 {
        match self {
            Step::Whole if number == 0 => start,
            Step::Whole => i64::MAX,
            Step::Fixed(step) => {
                let step = step.num_microseconds().unwrap_or(i64::MAX).max(1);
                start.saturating_add(step.saturating_mul(number.into()))
            }
            Step::Months(months) => DateTime::from_timestamp_micros(start)
                .zip(months.max(1).checked_mul(number))
                .and_then(|(start, months)| start.checked_add_months(Months::new(months)))
                .map_or(i64::MAX, |date| date.timestamp_micros()),
        }
    }
}

/// Cuts a range into slices that cover it exactly, in order. An empty range has none.
pub fn slices(range: Span, step: Step) -> impl Iterator<Item = Span> {
    (0..).map_while(move |number| {
        let start = if number == 0 { range.start } else { step.boundary(range.start, number) };
        let end = step.boundary(range.start, number + 1).min(range.end);
        (start < range.end).then(|| Span::new(start, end))
    })
}

/// Where a read begins: the configured start, or the watermark of the last read less the
/// lookback window where that is later.
pub fn resume_at(start: i64, watermark: Option<i64>, lookback: TimeDelta) -> i64 {
    let lookback = lookback.num_microseconds().unwrap_or(i64::MAX).max(0);
    watermark.map_or(start, |watermark| start.max(watermark.saturating_sub(lookback)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> i64 {
        CursorFormat::Date.parse(text).unwrap()
    }

    fn days(range: (&str, &str), step: Step) -> Vec<(String, String)> {
        let text = |at| CursorFormat::Date.text(at);
        slices(Span::new(day(range.0), day(range.1)), step)
            .map(|slice| (text(slice.start), text(slice.end)))
            .collect()
    }

    #[test]
    fn months_follow_the_calendar() {
        let cut = days(("2023-12-31", "2024-04-10"), Step::Months(1));
        let starts: Vec<&str> = cut.iter().map(|(start, _)| start.as_str()).collect();
        assert_eq!(starts, ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31"]);
        assert_eq!(cut[3].1, "2024-04-10");
    }

    #[test]
    fn fixed_steps_and_the_whole() {
        assert_eq!(days(("2026-01-01", "2026-01-08"), Step::days(3)).len(), 3);
        assert_eq!(
            days(("2026-01-01", "2026-01-08"), Step::Whole),
            [("2026-01-01".into(), "2026-01-08".into())]
        );
        assert!(days(("2026-01-08", "2026-01-08"), Step::Whole).is_empty());
        assert!(days(("2026-01-08", "2026-01-01"), Step::days(1)).is_empty());
    }

    #[test]
    fn a_read_begins_at_the_watermark_less_lookback_and_not_before_the_start() {
        let lookback = TimeDelta::days(2);
        let start = day("2026-01-10");
        assert_eq!(resume_at(start, None, lookback), start);
        assert_eq!(resume_at(start, Some(day("2026-02-10")), lookback), day("2026-02-08"));
        assert_eq!(resume_at(start, Some(day("2026-01-11")), lookback), start);
        assert_eq!(resume_at(start, Some(i64::MIN), TimeDelta::MAX), start);
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Whole),
            (1i64..40 * DAY).prop_map(|micros| Step::Fixed(TimeDelta::microseconds(micros))),
            (0u32..30).prop_map(Step::days),
            (0u32..30).prop_map(Step::Months),
        ]
    }

    proptest! {
        #[test]
        fn slices_cover_exactly_and_do_not_overlap(
            start in -100_000 * DAY..100_000 * DAY,
            width in 0..2_000 * DAY,
            step in steps(),
        ) {
            let range = Span::new(start, start + width);
            let mut at = range.start;
            for slice in slices(range, step).take(10_000) {
                prop_assert_eq!(slice.start, at);
                prop_assert!(!slice.is_empty());
                at = slice.end;
            }
            prop_assert!(at == range.end || slices(range, step).nth(9_999).is_some());
        }

        #[test]
        fn no_range_panics(start in any::<i64>(), end in any::<i64>(), step in steps()) {
            let mut at = start;
            for slice in slices(Span::new(start, end), step).take(100) {
                prop_assert!(slice.start == at && slice.end > at && slice.end <= end);
                at = slice.end;
            }
            resume_at(start, Some(end), TimeDelta::MAX);
        }
    }
}
