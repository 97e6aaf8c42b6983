//! Half-open ranges of whole numbers and sets of them: what of a stream's cursor range
//! is done, and what is left.

use serde::{Deserialize, Serialize};

/// A half-open range `[start, end)`, such as a slice of a stream in epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(i64, i64)", into = "(i64, i64)")]
pub struct Span {
    /// First value inside.
    pub start: i64,
    /// First value outside.
    pub end: i64,
}

impl Span {
    /// `[start, end)`; empty when `end <= start`.
    pub fn new(start: i64, end: i64) -> Self {
        Span { start, end: end.max(start) }
    }

    /// Whether nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Number of values inside.
    pub fn width(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Cuts the range into pieces of at most `width`, the last one as short as needed.
    pub fn chunks(self, width: i64) -> impl Iterator<Item = Span> {
        let width = width.max(1);
        let count = if self.is_empty() { 0 } else { (self.width() - 1) / width + 1 };
        (0..count).map(move |i| {
            let start = self.start + i * width;
            Span::new(start, start.saturating_add(width).min(self.end))
        })
    }

    /// Cuts the range into `parts` pieces of about equal width (fewer when it is narrow).
    pub fn split(self, parts: i64) -> impl Iterator<Item = Span> {
        let parts = parts.max(1);
        self.chunks(self.width() / parts + i64::from(self.width() % parts != 0))
    }
}

impl From<(i64, i64)> for Span {
    fn from((start, end): (i64, i64)) -> Self {
        Span::new(start, end)
    }
}

impl From<Span> for (i64, i64) {
    fn from(span: Span) -> Self {
        (span.start, span.end)
    }
}

/// A set of values kept as sorted, disjoint ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Span>", into = "Vec<Span>")]
pub struct SpanSet(Vec<Span>);

impl SpanSet {
    /// Adds a range, joining it with what it touches.
    pub fn insert(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        let from = self.0.partition_point(|s| s.end < span.start);
        let to = self.0.partition_point(|s| s.start <= span.end);
        let start = self.0.get(from).map_or(span.start, |s| s.start.min(span.start));
        let end = if to > from { self.0[to - 1].end.max(span.end) } else { span.end };
        let start = if to > from { start } else { span.start };
        self.0.splice(from..to, [Span::new(start, end)]);
    }

    /// What of `span` is not in the set, in order.
    pub fn missing(&self, span: Span) -> Vec<Span> {
        let mut left = Vec::new();
        let mut at = span.start;
        for done in &self.0 {
            if done.start >= span.end {
                break;
            }
            if done.start > at {
                left.push(Span::new(at, done.start));
            }
            at = at.max(done.end);
        }
        if at < span.end {
            left.push(Span::new(at, span.end));
        }
        left
    }

    /// The ranges in order.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }
}

impl From<Vec<Span>> for SpanSet {
    fn from(spans: Vec<Span>) -> Self {
        let mut set = SpanSet::default();
        spans.into_iter().for_each(|span| set.insert(span));
        set
    }
}

impl From<SpanSet> for Vec<Span> {
    fn from(set: SpanSet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn touching_ranges_join() {
        let set = SpanSet::from(vec![Span::new(5, 8), Span::new(0, 2), Span::new(2, 3)]);
        assert_eq!(set.spans(), [Span::new(0, 3), Span::new(5, 8)]);
        assert_eq!(set.missing(Span::new(1, 10)), [Span::new(3, 5), Span::new(8, 10)]);
        assert_eq!(serde_json::to_string(&set).unwrap(), "[[0,3],[5,8]]");
    }

    proptest! {
        #[test]
        fn set_behaves_like_a_set(spans in proptest::collection::vec((0i64..60, 0i64..12), 0..12)) {
            let mut set = SpanSet::default();
            let mut plain = std::collections::BTreeSet::new();
            for (start, width) in spans {
                set.insert(Span::new(start, start + width));
                plain.extend(start..start + width);
            }
            let whole = Span::new(0, 80);
            let missing: Vec<i64> =
                set.missing(whole).iter().flat_map(|s| s.start..s.end).collect();
            let expected: Vec<i64> = (0..80).filter(|v| !plain.contains(v)).collect();
            prop_assert_eq!(missing, expected);
            prop_assert!(set.spans().windows(2).all(|w| w[0].end < w[1].start));
        }

        #[test]
        fn pieces_cover_exactly(start in -1000i64..1000, width in 0i64..1000, parts in 1i64..20) {
            let span = Span::new(start, start + width);
            for pieces in [span.split(parts).collect::<Vec<_>>(), span.chunks(parts).collect()] {
                let mut at = span.start;
                for piece in pieces {
                    prop_assert_eq!(piece.start, at);
                    prop_assert!(!piece.is_empty());
                    at = piece.end;
                }
                prop_assert_eq!(at, span.end);
            }
            prop_assert!(span.split(parts).count() as i64 <= parts);
        }
    }
}
