//! I: what states say about the records around them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use airbyte_protocol::StreamDescriptor;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;

use super::streams::StreamInfo;
use crate::rules::{self, Level};
use crate::sheet::{Finding, Sheet};
use crate::transcript::{Body, Line, Transcript};

/// Where to find a cursor in a state, and how far it may be off.
#[derive(Debug, Clone, Default)]
pub struct CursorRules {
    /// Paths of the cursor within the state, by stream name: members and places in lists.
    pub paths: BTreeMap<String, Vec<Value>>,
    /// Days that the cursors of records may lie before that of the state they are read from.
    pub threshold_days: u32,
}

/// A cursor value that can be compared with others of its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Cursor {
    /// A number.
    Number(f64),
    /// A point in time, in seconds since the epoch.
    Instant(f64),
    /// Any other text.
    Text(String),
}

impl Cursor {
    /// Reads a scalar; `None` for anything else.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::String(text) => Some(match instant(text) {
                Some(seconds) => Self::Instant(seconds),
                None => Self::Text(text.clone()),
            }),
            _ => None,
        }
    }

    /// How it compares with another one of its kind.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(one), Self::Number(other))
            | (Self::Instant(one), Self::Instant(other)) => one.partial_cmp(other),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

fn instant(text: &str) -> Option<f64> {
    let seconds = |time: NaiveDateTime| time.and_utc().timestamp_micros() as f64 / 1e6;
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros() as f64 / 1e6);
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z"] {
        if let Ok(time) = DateTime::parse_from_str(text, format) {
            return Some(time.timestamp_micros() as f64 / 1e6);
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(seconds(time));
        }
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(seconds)
}

/// The cursor in the state of a stream: at the given path, else the scalar whose name is the last
/// part of the cursor's path, when there is exactly one.
pub fn cursor_in<'a>(
    state: &'a Value,
    info: &StreamInfo,
    rules: &CursorRules,
) -> Option<&'a Value> {
    if let Some(path) = rules.paths.get(&info.descriptor.name) {
        return path.iter().try_fold(state, |value, part| match part {
            Value::Number(place) => value.get(usize::try_from(place.as_u64()?).ok()?),
            Value::String(name) => value.get(name),
            _ => None,
        });
    }
    let name = info.cursor.last()?;
    let mut found = Vec::new();
    collect(state, name, &mut found);
    match found.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn collect<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if key == name && (value.is_string() || value.is_number()) {
                    found.push(value);
                } else {
                    collect(value, name, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        _ => {}
    }
}

/// Compares the cursors of states with those of the records before them (I02), with those of
/// earlier states (I03), and states with each other (I12). `incoming` is the state that the read
/// started from.
pub fn check(
    run: &Transcript,
    streams: &[StreamInfo],
    incoming: impl Fn(&StreamDescriptor) -> Option<Value>,
    cursors: &CursorRules,
    sheet: &mut Sheet,
) {
    for info in streams {
        let before = incoming(&info.descriptor);
        let mut walk = Walk::new(info, before.as_ref(), cursors);
        for line in &run.lines {
            match &line.body {
                Body::Record(record) if record.stream == info.descriptor => {
                    walk.record(&record.data);
                }
                Body::State(state) => {
                    if let Some(state) = state.of_stream(&info.descriptor) {
                        walk.state(run, line, state, sheet);
                    }
                }
                _ => {}
            }
        }
        walk.end(run, sheet);
    }
}

struct Walk<'a> {
    info: &'a StreamInfo,
    rules: &'a CursorRules,
    greatest_record: Option<Cursor>,
    greatest_state: Option<Cursor>,
    last_state: Option<Value>,
    records_since: u64,
    is_known: bool,
    last: Option<(Cursor, usize)>,
}

impl<'a> Walk<'a> {
    fn new(info: &'a StreamInfo, before: Option<&Value>, rules: &'a CursorRules) -> Self {
        let greatest_state =
            before.and_then(|state| cursor_in(state, info, rules)).and_then(Cursor::of);
        Self {
            info,
            rules,
            greatest_record: None,
            greatest_state,
            last_state: None,
            records_since: 0,
            is_known: false,
            last: None,
        }
    }

    fn record(&mut self, data: &Value) {
        self.records_since += 1;
        if let Some(cursor) = self.info.cursor_value(data).and_then(Cursor::of) {
            raise(&mut self.greatest_record, cursor);
        }
    }

    fn state(&mut self, run: &Transcript, line: &Line, state: &Value, sheet: &mut Sheet) {
        let at = |finding: Finding| {
            finding.in_run(&run.title).at(line.number, &line.text()).stream(&self.info.descriptor)
        };
        sheet.check(&rules::I12);
        if self.records_since > 0 && self.last_state.as_ref() == Some(state) {
            let message = format!("the same state again, {} records later", self.records_since);
            sheet.find(at(Finding::new(&rules::I12, message)));
        }
        self.records_since = 0;
        self.last_state = Some(state.clone());
        let Some(value) = cursor_in(state, self.info, self.rules) else { return };
        let Some(cursor) = Cursor::of(value) else { return };
        self.is_known = true;
        sheet.check(&rules::I03);
        let earlier = self.greatest_state.as_ref();
        if earlier.is_some_and(|earlier| cursor.compare(earlier) == Some(Ordering::Less)) {
            let message = format!("the cursor goes back to {value}");
            sheet.find(at(Finding::new(&rules::I03, message)));
        }
        raise(&mut self.greatest_state, cursor.clone());
        self.last = Some((cursor, line.number));
    }

    /// Only the last state is compared with the records: those before may lag behind.
    fn end(self, run: &Transcript, sheet: &mut Sheet) {
        let stream = &self.info.descriptor;
        if !self.info.is_incremental {
            return;
        }
        if !self.is_known {
            let why = format!("{stream}: its cursor cannot be told in the state");
            sheet.skip(&rules::I02, why.clone());
            return sheet.skip(&rules::I03, why);
        }
        let (Some((state, line)), Some(records)) = (&self.last, &self.greatest_record) else {
            return;
        };
        sheet.check(&rules::I02);
        let (message, reason) = match state.compare(records) {
            Some(Ordering::Greater) => (
                "the last state is ahead of all records",
                "a source may say up to when it has looked, and found nothing",
            ),
            Some(Ordering::Less) => (
                "the last state is behind the records",
                "they come again in the next read, as with a lookback window",
            ),
            _ => return,
        };
        let message = format!("{message}: {} and {}", shown(state), shown(records));
        let mut finding = Finding::new(&rules::I02, message).only(Level::Warning, reason);
        finding.line = Some(*line);
        sheet.find(finding.in_run(&run.title).stream(stream));
    }
}

fn raise(greatest: &mut Option<Cursor>, cursor: Cursor) {
    let is_greater = match greatest {
        Some(known) => cursor.compare(known) == Some(Ordering::Greater),
        None => true,
    };
    if is_greater {
        *greatest = Some(cursor);
    }
}

fn shown(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Number(number) => number.to_string(),
        Cursor::Instant(seconds) => DateTime::from_timestamp_micros((seconds * 1e6) as i64)
            .map_or_else(|| seconds.to_string(), |time| time.to_rfc3339()),
        Cursor::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::streams;

    fn info() -> Vec<StreamInfo> {
        streams::of_catalog(&serde_json::json!({"streams": [{
            "name": "a", "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"],
            "default_cursor_field": ["t"],
        }]}))
    }

    fn run(parts: &[(&str, i64)]) -> Transcript {
        let line = |(kind, t): &(&str, i64)| match *kind {
            "record" => format!(
                r#"{{"type":"RECORD","record":{{"stream":"a","data":{{"t":{t}}},"emitted_at":1}}}}"#
            ),
            _ => format!(
                r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"a"}},"stream_state":{{"x":{{"t":{t}}}}}}}}}}}"#
            ),
        };
        let lines: Vec<String> = parts.iter().map(line).collect();
        Transcript::recorded("read", "read", lines.join("\n").as_bytes())
    }

    fn found(parts: &[(&str, i64)]) -> Vec<&'static str> {
        let mut sheet = Sheet::new();
        check(&run(parts), &info(), |_| None, &CursorRules::default(), &mut sheet);
        sheet.findings().map(|finding| finding.rule.id).collect()
    }

    #[test]
    fn cursors_move_with_the_records() {
        assert!(found(&[("record", 1), ("state", 1), ("record", 3), ("state", 3)]).is_empty());
        assert_eq!(
            found(&[("record", 3), ("state", 3), ("record", 1), ("state", 1)]),
            ["I02", "I03"]
        );
        assert_eq!(found(&[("record", 1), ("state", 9)]), ["I02"]);
        assert_eq!(found(&[("record", 1), ("state", 1), ("record", 1), ("state", 1)]), ["I12"]);
    }

    #[test]
    fn a_state_below_the_incoming_one_goes_back() {
        let mut sheet = Sheet::new();
        let incoming = |_: &StreamDescriptor| Some(serde_json::json!({"t": 9}));
        check(&run(&[("state", 5)]), &info(), incoming, &CursorRules::default(), &mut sheet);
        assert_eq!(sheet.tally(&rules::I03).unwrap().findings.len(), 1);
    }

    #[test]
    fn cursors_are_compared_within_their_kind() {
        let cursor = |text: &str| Cursor::of(&Value::from(text)).unwrap();
        let times = [
            "2026-01-01",
            "2026-01-01T00:00:01Z",
            "2026-01-01T01:00:02+01:00",
            "2026-01-01 00:00:03",
            "2026-01-01T00:00:04.5+0000",
        ];
        for pair in times.windows(2) {
            let (one, other) = (cursor(pair[0]), cursor(pair[1]));
            assert_eq!(one.compare(&other), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(cursor("a").compare(&Cursor::Number(1.0)), None);
    }

    #[test]
    fn an_ambiguous_cursor_is_not_guessed() {
        let state = serde_json::json!({"slices": [{"t": 1}, {"t": 2}]});
        let rules = CursorRules::default();
        assert_eq!(cursor_in(&state, &info()[0], &rules), None);
        let paths = BTreeMap::from([(
            "a".into(),
            serde_json::json!(["slices", 1, "t"]).as_array().unwrap().clone(),
        )]);
        let rules = CursorRules { paths, threshold_days: 0 };
        assert_eq!(cursor_in(&state, &info()[0], &rules), Some(&Value::from(2)));
    }
}
