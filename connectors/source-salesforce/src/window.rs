//! Windows: the parts of an object's rows that are read in one go.

use std::fmt;

use cdk::range::{Span, SpanSet};
use chrono::{DateTime, SecondsFormat, Utc};

/// The time before which nothing in Salesforce was stamped.
const BEGINNING: i64 = 915_148_800_000;
/// Windows are not split below this, in milliseconds: stamps are whole seconds.
const SMALLEST: i64 = 1_000;

/// Rows whose cursor is in `[from, to)`, in milliseconds since the epoch; a bound that is not
/// there does not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first value inside.
    pub from: Option<i64>,
    /// The first value outside.
    pub to: Option<i64>,
}

impl Window {
    /// All rows, whatever their cursor.
    pub const ALL: Self = Window { from: None, to: None };

    /// The values between the two bounds, if there are both.
    pub fn span(&self) -> Option<Span> {
        Some(Span::new(self.from?, self.to?))
    }

    /// The condition on the cursor, with `WHERE`; nothing for all rows.
    pub fn condition(&self, cursor: &str) -> String {
        let from = self.from.map(|at| format!("{cursor} >= {}", literal(at)));
        let to = self.to.map(|at| format!("{cursor} < {}", literal(at)));
        let conditions: Vec<String> = from.into_iter().chain(to).collect();
        if conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", conditions.join(" AND "))
    }

    /// The two halves of a window, cut at a whole second; `None` when it is too small.
    pub fn halves(&self, now: i64) -> Option<[Window; 2]> {
        let (from, to) = (self.from.unwrap_or(BEGINNING), self.to.unwrap_or(now));
        if to - from < 2 * SMALLEST {
            return None;
        }
        let middle = from + (to - from) / 2;
        let middle = middle - middle.rem_euclid(SMALLEST);
        let middle = if middle <= from { middle + SMALLEST } else { middle };
        (middle < to).then_some([
            Window { from: self.from, to: Some(middle) },
            Window { from: Some(middle), to: self.to },
        ])
    }
}

impl From<Span> for Window {
    fn from(span: Span) -> Self {
        Window { from: Some(span.start), to: Some(span.end) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |at: Option<i64>| at.map_or_else(|| "…".to_owned(), literal);
        write!(f, "[{}, {})", text(self.from), text(self.to))
    }
}

/// A point in time as SOQL and states write it.
pub fn literal(at: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What of the time up to `to` is to be read: what is not done, and the last `lookback` of what
/// is, cut into windows of at most `step`.
pub fn windows(done: &SpanSet, start: i64, to: i64, lookback: i64, step: Option<i64>) -> Vec<Span> {
    let mut spans: Vec<Span> = done.spans().to_vec();
    if let Some(last) = spans.last_mut() {
        *last = Span::new(last.start, last.end.saturating_sub(lookback).max(last.start));
    }
    let missing = SpanSet::from(spans).missing(Span::new(start, to));
    missing.into_iter().flat_map(|span| span.chunks(step.unwrap_or(i64::MAX))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: i64 = 1_700_000_000_000;

    #[test]
    fn conditions() {
        let window = Window { from: Some(0), to: Some(1_500) };
        assert_eq!(
            window.condition("SystemModstamp"),
            " WHERE SystemModstamp >= 1970-01-01T00:00:00.000Z AND SystemModstamp < 1970-01-01T00:00:01.500Z"
        );
        assert_eq!(Window::ALL.condition("X"), "");
    }

    #[test]
    fn what_is_left() {
        let done = SpanSet::from(vec![Span::new(100, 200), Span::new(300, 400)]);
        let left = |start, to, lookback, step| windows(&done, start, to, lookback, step);
        // The head before an earlier start, the gap, and the tail with its lookback.
        assert_eq!(
            left(50, 500, 10, None),
            [Span::new(50, 100), Span::new(200, 300), Span::new(390, 500)]
        );
        assert_eq!(left(100, 400, 0, None), [Span::new(200, 300)]);
        // The lookback goes no further than the last slice.
        assert_eq!(left(300, 410, 1_000, None), [Span::new(300, 410)]);
        assert_eq!(windows(&SpanSet::default(), 0, 25, 10, Some(10)).len(), 3);
    }

    proptest! {
        #[test]
        fn halves_cover(from in 0i64..10_000_000, width in 0i64..10_000_000) {
            let window = Window::from(Span::new(T + from, T + from + width));
            if let Some([left, right]) = window.halves(T) {
                prop_assert!(left.from == window.from && right.to == window.to);
                prop_assert_eq!(left.to, right.from);
                prop_assert!(!left.span().unwrap().is_empty() && !right.span().unwrap().is_empty());
            } else {
                prop_assert!(width < 2 * SMALLEST);
            }
        }
    }
}
