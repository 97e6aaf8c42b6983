//! Records as sets: who is who, and what is missing.

use std::collections::{BTreeMap, BTreeSet};

use airbyte_protocol::StreamDescriptor;
use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};

use crate::checks::streams::StreamInfo;
use crate::config::name_matches;
use crate::transcript::Transcript;

/// What identifies a record: the values of its primary key, else a digest of its content.
pub type Identity = String;

/// Fields that are left out of comparisons, by stream name: paths of member names.
pub type Ignored = BTreeMap<String, Vec<Vec<String>>>;

/// What stands in place of an instant at which the record was read.
const READ_TIME: &str = "(the time of the read)";
/// How far such an instant may lie outside the run, in milliseconds: clocks are cut to seconds.
const SLACK: i64 = 2_000;

/// Records of several streams by identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    streams: BTreeMap<StreamDescriptor, BTreeMap<Identity, Row>>,
    read_times: BTreeMap<StreamDescriptor, BTreeSet<String>>,
}

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its content as canonical JSON, without ignored fields.
    pub content: String,
    /// How often it came.
    pub times: usize,
    /// The line on which it came first.
    pub line: usize,
}

impl Rows {
    /// The records of a transcript up to a line (all of them with `usize::MAX`).
    pub fn of(run: &Transcript, streams: &[StreamInfo], ignored: &Ignored, up_to: usize) -> Self {
        let mut rows = Self::default();
        let during = During::of(run);
        for (line, record) in run.records().take_while(|(line, _)| line.number <= up_to) {
            let info = streams.iter().find(|info| info.descriptor == record.stream);
            let mut data = content(&record.data, ignored.get(&record.stream.name));
            let mut times = BTreeSet::new();
            hide_times(&mut data, "", &during, &mut times);
            if !times.is_empty() {
                rows.read_times.entry(record.stream.clone()).or_default().append(&mut times);
            }
            let content = data.to_string();
            // A key that changes by itself identifies nothing.
            let ignored = ignored.get(&record.stream.name).map_or(&[][..], Vec::as_slice);
            let keyed =
                info.filter(|info| !info.primary_key.iter().any(|key| ignored.contains(key)));
            let identity = identity(keyed, &record.data, &content);
            rows.add(&record.stream, identity, content, line.number);
        }
        rows
    }

    fn add(&mut self, stream: &StreamDescriptor, identity: Identity, content: String, line: usize) {
        let rows = self.streams.entry(stream.clone()).or_default();
        // A later version of a record replaces an earlier one, as in a table.
        let row = rows.entry(identity).or_insert(Row { content: String::new(), times: 0, line });
        row.content = content;
        row.times += 1;
    }

    /// The records of a stream.
    pub fn stream(&self, stream: &StreamDescriptor) -> impl Iterator<Item = (&Identity, &Row)> {
        self.streams.get(stream).into_iter().flatten()
    }

    /// The streams that have records.
    pub fn streams(&self) -> impl Iterator<Item = &StreamDescriptor> {
        self.streams.keys()
    }

    /// The number of different records of a stream.
    pub fn count(&self, stream: &StreamDescriptor) -> usize {
        self.streams.get(stream).map_or(0, BTreeMap::len)
    }

    /// The fields, as paths, that hold the time at which a record was read. Their values are left
    /// out of comparisons: they say nothing of the source.
    pub fn read_times(&self) -> &BTreeMap<StreamDescriptor, BTreeSet<String>> {
        &self.read_times
    }

    /// The number of different records.
    pub fn total(&self) -> usize {
        self.streams.values().map(BTreeMap::len).sum()
    }

    /// Takes the records of others in.
    pub fn extend(&mut self, other: &Rows) {
        for (stream, rows) in &other.streams {
            let mine = self.streams.entry(stream.clone()).or_default();
            for (identity, row) in rows {
                mine.insert(identity.clone(), row.clone());
            }
        }
    }

    /// What of `whole` is not here, by stream.
    pub fn missing_of<'a>(
        &self,
        whole: &'a Rows,
    ) -> BTreeMap<&'a StreamDescriptor, BTreeSet<&'a Identity>> {
        let mut missing: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (stream, rows) in &whole.streams {
            let mine = self.streams.get(stream);
            for identity in rows.keys() {
                if !mine.is_some_and(|mine| mine.contains_key(identity)) {
                    missing.entry(stream).or_default().insert(identity);
                }
            }
        }
        missing
    }

    /// The same records without the streams that are not wanted.
    pub fn only(&self, keep: impl Fn(&StreamDescriptor) -> bool) -> Self {
        let mut kept = self.clone();
        kept.streams.retain(|stream, _| keep(stream));
        kept.read_times.retain(|stream, _| keep(stream));
        kept
    }

    /// Records that are in both with other content: stream, identity, and the two contents.
    pub fn changed<'a>(
        &'a self,
        other: &'a Rows,
    ) -> Vec<(&'a StreamDescriptor, &'a Identity, &'a str, &'a str)> {
        let mut changed = Vec::new();
        for (stream, rows) in &self.streams {
            for (identity, row) in rows {
                let theirs = other.streams.get(stream).and_then(|rows| rows.get(identity));
                if let Some(theirs) = theirs.filter(|theirs| theirs.content != row.content) {
                    changed.push((stream, identity, row.content.as_str(), theirs.content.as_str()));
                }
            }
        }
        changed
    }
}

/// Where a record differs from another one, for people: the first paths with their values.
pub fn difference(one: &str, other: &str) -> String {
    let (Ok(one), Ok(other)) = (serde_json::from_str(one), serde_json::from_str(other)) else {
        return String::new();
    };
    let mut found = Vec::new();
    differences("", &one, &other, &mut found);
    found.truncate(3);
    found.join(", ")
}

fn differences(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let (a, b) = (one.get(key), other.get(key));
                let path = format!("{path}/{key}");
                match (a, b) {
                    (Some(a), Some(b)) => differences(&path, a, b, found),
                    (Some(_), None) => found.push(format!("{path} is missing in the second")),
                    _ => found.push(format!("{path} is missing in the first")),
                }
            }
        }
        (one, other) if one != other => found.push(format!("{path}: {one} and {other}")),
        _ => {}
    }
}

/// The time of a run, in milliseconds since the epoch; `None` when it is not known.
struct During(Option<std::ops::RangeInclusive<i64>>);

impl During {
    fn of(run: &Transcript) -> Self {
        let wall = i64::try_from(run.usage.wall.as_millis()).unwrap_or(i64::MAX / 2);
        let start = Some(run.started_at).filter(|start| *start != 0);
        Self(start.map(|start| start - SLACK..=start.saturating_add(wall).saturating_add(SLACK)))
    }

    /// Whether it is an instant of the run: a text, or seconds or milliseconds since the epoch.
    fn contains(&self, value: &Value) -> bool {
        let Some(during) = &self.0 else { return false };
        let instant = match value {
            Value::String(text) => instant(text),
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                let ms = if number < 1e11 { number * 1e3 } else { number };
                Some(ms as i64)
            }
            _ => None,
        };
        instant.is_some_and(|instant| during.contains(&instant))
    }
}

/// An instant, in milliseconds since the epoch; one without offset is taken for UTC.
fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    // Most texts are no instants, and this is asked of every one.
    if bytes.len() < 19 || bytes.len() > 35 || bytes[4] != b'-' || bytes[13] != b':' {
        return None;
    }
    let zoned = DateTime::parse_from_rfc3339(text).or_else(|_| text.parse());
    let zoned = zoned.map(|instant| instant.timestamp_millis());
    let naive = || {
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    zoned.ok().or_else(|| naive().map(|instant| instant.and_utc().timestamp_millis()))
}

/// Puts a mark in place of each instant of the run, and collects their paths.
fn hide_times(value: &mut Value, path: &str, during: &During, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let is_scalar = value.is_string() || value.is_number();
                if is_scalar && !during.contains(value) {
                    continue;
                }
                hide_times(value, &format!("{path}/{key}"), during, found);
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| hide_times(item, path, during, found));
        }
        scalar if during.contains(scalar) => {
            *scalar = READ_TIME.into();
            found.insert(path.to_owned());
        }
        _ => {}
    }
}

/// The members sorted, ignored fields left out.
fn content(data: &Value, ignored: Option<&Vec<Vec<String>>>) -> Value {
    let mut copy;
    let data = match ignored {
        Some(paths) => {
            copy = data.clone();
            paths.iter().for_each(|path| remove(&mut copy, path));
            &copy
        }
        None => data,
    };
    sorted(data)
}

pub(crate) fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Object(members), [last]) => members.retain(|key, _| !name_matches(last, key)),
        (Value::Object(members), [first, rest @ ..]) => {
            let inner = members.iter_mut().filter(|(key, _)| name_matches(first, key));
            inner.for_each(|(_, value)| remove(value, rest));
        }
        (Value::Array(items), path) => items.iter_mut().for_each(|item| remove(item, path)),
        _ => {}
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<&String, &Value> = members.iter().collect();
            let members = ordered.into_iter().map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        scalar => scalar.clone(),
    }
}

fn identity(info: Option<&StreamInfo>, data: &Value, content: &str) -> Identity {
    let key = info.filter(|info| !info.primary_key.is_empty());
    if let Some(values) = key.and_then(|info| info.key_values(data)) {
        return serde_json::to_string(&values).unwrap_or_default();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::streams;

    fn run(records: &[(&str, Value)]) -> Transcript {
        let lines: Vec<String> = records
            .iter()
            .map(|(stream, data)| {
                serde_json::json!({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}})
                    .to_string()
            })
            .collect();
        Transcript::recorded("read", "read", lines.join("\n").as_bytes())
    }

    fn infos() -> Vec<StreamInfo> {
        streams::of_catalog(&serde_json::json!({"streams": [
            {"name": "keyed", "json_schema": {}, "supported_sync_modes": [], "source_defined_primary_key": [["id"]]},
            {"name": "plain", "json_schema": {}, "supported_sync_modes": []},
        ]}))
    }

    #[test]
    fn records_are_who_they_are() {
        let run = run(&[
            ("keyed", serde_json::json!({"id": 1, "a": 1})),
            ("keyed", serde_json::json!({"id": 1, "a": 2})),
            ("plain", serde_json::json!({"b": 1, "a": {"d": 1, "c": 2}})),
            ("plain", serde_json::json!({"a": {"c": 2, "d": 1}, "b": 1})),
        ]);
        let rows = Rows::of(&run, &infos(), &Ignored::new(), usize::MAX);
        assert_eq!((rows.count(&StreamDescriptor::new("keyed")), rows.total()), (1, 2));
        let (_, row) = rows.stream(&StreamDescriptor::new("keyed")).next().unwrap();
        assert_eq!((row.times, row.content.as_str()), (2, r#"{"a":2,"id":1}"#));
        assert_eq!(Rows::of(&run, &infos(), &Ignored::new(), 2).total(), 1);
    }

    #[test]
    fn what_is_missing_and_what_changed() {
        let first = run(&[
            ("keyed", serde_json::json!({"id": 1, "a": 1, "t": 9})),
            ("keyed", serde_json::json!({"id": 2})),
        ]);
        let second = run(&[("keyed", serde_json::json!({"id": 1, "a": 2, "t": 8}))]);
        let ignored = Ignored::from([("keyed".into(), vec![vec!["t".into()]])]);
        let first = Rows::of(&first, &infos(), &ignored, usize::MAX);
        let second = Rows::of(&second, &infos(), &ignored, usize::MAX);
        assert!(first.read_times().is_empty());
        assert_eq!(second.missing_of(&first).values().next().unwrap().len(), 1);
        assert!(first.missing_of(&second).is_empty());
        let changed = first.changed(&second);
        assert_eq!(difference(changed[0].2, changed[0].3), "/a: 1 and 2");
    }

    #[test]
    fn times_of_the_read_are_no_content() {
        let at = |start: i64, text: &str, number: i64| {
            let mut run = run(&[
                ("keyed", serde_json::json!({"id": 1, "t": text, "was": "2020-01-01T00:00:00Z"})),
                (
                    "plain",
                    serde_json::json!({"deep": [{"n": number}], "text": "no instant at all"}),
                ),
            ]);
            run.started_at = start;
            Rows::of(&run, &infos(), &Ignored::new(), usize::MAX)
        };
        let start = 1_767_225_600_000;
        let first = at(start, "2026-01-01T00:00:01.5Z", 1_767_225_600);
        let second = at(start + 60_000, "2026-01-01 00:01:00", start + 60_000);
        assert!(first.changed(&second).is_empty() && first.missing_of(&second).is_empty());
        let fields: Vec<&str> = first.read_times().values().flatten().map(String::as_str).collect();
        assert_eq!(fields, ["/t", "/deep/n"]);
        // The same instant in a later run is a value like any other.
        let later = at(start + 600_000, "2026-01-01T00:00:01.5Z", 1_767_225_600);
        assert!(later.read_times().is_empty());
        assert_eq!(later.changed(&first).len(), 1);
    }
}
