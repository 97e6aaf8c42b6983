//! The view of a state that lists the finished slices of a cursor's range.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value};

/// A state of the shape `{"state_type": "date-range", "slices": [{"start": …, "end": …}]}`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcurrentState<'a> {
    /// `date-range` or `integer`.
    pub state_type: Option<&'a str>,
    /// The finished slices, in the order of the state.
    pub slices: Vec<StateSlice<'a>>,
}

/// One finished slice: all records with a cursor from `start` to `end` were read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StateSlice<'a> {
    /// The first cursor value of the slice.
    pub start: &'a Value,
    /// The last cursor value of the slice.
    pub end: &'a Value,
    /// The greatest cursor value of a record of the slice, when there was one.
    pub most_recent: Option<&'a Value>,
}

/// The slices that follow each other without a gap from the first one on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SliceRun<'a> {
    /// Where the first slice starts.
    pub start: &'a Value,
    /// Where the last slice of the run ends: everything up to here was read.
    pub end: &'a Value,
    /// The greatest cursor value of a record in the run, when there was one.
    pub most_recent: Option<&'a Value>,
}

impl<'a> ConcurrentState<'a> {
    pub(super) fn of(state: &'a Map<String, Value>) -> Option<Self> {
        let slices = state.get("slices")?.as_array()?.iter().filter_map(StateSlice::of).collect();
        Some(Self { state_type: state.get("state_type").and_then(Value::as_str), slices })
    }

    /// The first contiguous run: a read goes on from its end, whatever was read behind a gap.
    /// `None` when there is no slice.
    pub fn first_run(&self) -> Option<SliceRun<'a>> {
        let mut slices: Vec<(Position, StateSlice<'a>)> =
            self.slices.iter().map(|slice| (Position::of(slice.start), *slice)).collect();
        slices.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        let mut slices = slices.into_iter().map(|(_, slice)| slice);
        let first = slices.next()?;
        let mut run =
            SliceRun { start: first.start, end: first.end, most_recent: first.most_recent };
        for slice in slices {
            if !Position::of(run.end).reaches(&Position::of(slice.start)) {
                break;
            }
            run.end = later(run.end, slice.end);
            run.most_recent = match (run.most_recent, slice.most_recent) {
                (Some(a), Some(b)) => Some(later(a, b)),
                (a, b) => a.or(b),
            };
        }
        Some(run)
    }
}

impl<'a> StateSlice<'a> {
    /// `None` for a slice without bounds, which says nothing.
    fn of(slice: &'a Value) -> Option<Self> {
        let member = |key: &str| slice.get(key).filter(|value| !value.is_null());
        Some(Self {
            start: member("start")?,
            end: member("end")?,
            most_recent: member("most_recent_cursor_value"),
        })
    }
}

fn later<'a>(a: &'a Value, b: &'a Value) -> &'a Value {
    if Position::of(b) > Position::of(a) { b } else { a }
}

/// A cursor value as a place on an axis, as far as its form is understood.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Position {
    /// A number as it stands: epoch seconds, ids.
    Number(f64),
    /// A point in time, in microseconds since the epoch.
    Instant(i64),
    /// A whole day, in days since the epoch.
    Day(i64),
    /// Something else; ordered as text.
    Text(String),
}

impl Position {
    fn of(value: &Value) -> Self {
        match value {
            Value::Number(number) => {
                number.as_f64().map_or_else(|| Self::Text(number.to_string()), Self::Number)
            }
            Value::String(text) => Self::of_text(text),
            other => Self::Text(other.to_string()),
        }
    }

    fn of_text(text: &str) -> Self {
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Self::Day(i64::from(day.to_epoch_days()));
        }
        for format in
            ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%:z"]
        {
            if let Ok(instant) = DateTime::parse_from_str(text, format) {
                return Self::Instant(instant.timestamp_micros());
            }
        }
        for format in ["%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
            if let Ok(instant) = NaiveDateTime::parse_from_str(text, format) {
                return Self::Instant(instant.and_utc().timestamp_micros());
            }
        }
        Self::Text(text.to_owned())
    }

    /// Whether a slice that starts at `next` leaves no gap behind one that ends here. Slices are
    /// one step of their cursor apart: a second (or less), a day, or 1.
    fn reaches(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Number(end), Self::Number(start)) => *start <= *end + 1.0,
            (Self::Instant(end), Self::Instant(start)) => *start <= end.saturating_add(1_000_000),
            (Self::Day(end), Self::Day(start)) => *start <= end + 1,
            (Self::Text(end), Self::Text(start)) => start <= end,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StreamState;

    fn run_of(text: &str) -> Option<(String, Option<String>)> {
        let state: StreamState = serde_json::from_str(text).unwrap();
        let concurrent = state.concurrent().unwrap();
        let run = concurrent.first_run()?;
        Some((run.end.to_string(), run.most_recent.map(Value::to_string)))
    }

    #[test]
    fn the_run_ends_at_the_first_gap() {
        let text = r#"{"state_type":"integer","slices":[
            {"start":300,"end":400,"most_recent_cursor_value":390},
            {"start":0,"end":99,"most_recent_cursor_value":80},
            {"start":100,"end":200,"most_recent_cursor_value":null}]}"#;
        assert_eq!(run_of(text), Some(("200".into(), Some("80".into()))));
    }

    #[test]
    fn dates_are_compared_as_instants_whatever_their_form() {
        let text = r#"{"state_type":"date-range","slices":[
            {"start":"2026-01-01T00:00:00.000Z","end":"2026-01-31T23:59:59.999Z"},
            {"start":"2026-02-01T02:00:00+0200","end":"2026-02-10T00:00:00Z"},
            {"start":"2026-02-10T00:00:02Z","end":"2026-03-01T00:00:00Z"}]}"#;
        assert_eq!(run_of(text), Some((r#""2026-02-10T00:00:00Z""#.into(), None)));
        let days = r#"{"slices":[{"start":"2026-01-01","end":"2026-01-31"},{"start":"2026-02-01","end":"2026-02-02"},
            {"start":"2026-02-04","end":"2026-02-05"}]}"#;
        assert_eq!(run_of(days), Some((r#""2026-02-02""#.into(), None)));
    }

    #[test]
    fn a_slice_inside_another_does_not_shorten_the_run() {
        let text =
            r#"{"slices":[{"start":0,"end":50},{"start":5,"end":10},{"start":51,"end":60}]}"#;
        assert_eq!(run_of(text).unwrap().0, "60");
    }

    #[test]
    fn no_slices_is_no_run_and_no_list_is_no_view() {
        assert_eq!(run_of(r#"{"slices":[]}"#), None);
        let state: StreamState = serde_json::from_str(r#"{"created":5}"#).unwrap();
        assert_eq!(state.concurrent(), None);
    }
}
