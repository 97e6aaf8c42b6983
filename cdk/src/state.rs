//! What a stream's state says about its progress, in the shapes that Airbyte's connectors
//! leave behind, and the state by partitions.

use std::collections::HashMap;
use std::time::Duration;

use airbyte_protocol::{Error, Result, StreamState, partition_key};
use serde_json::{Map, Value, json};

use crate::cursor::{CursorFormat, SECOND};

/// So many partitions have a cursor of their own in a state; beyond that one cursor serves
/// all, as in Airbyte's connectors.
pub const MAX_PARTITIONS: usize = 10_000;

/// A cursor as it stands in states: everything before it was read.
#[derive(Debug, Clone)]
pub struct Watermark {
    /// The state's key, which is the name of the cursor field.
    pub key: String,
    /// How its value is written.
    pub format: CursorFormat,
}

impl Watermark {
    /// The watermark in a state of any shape: the simple one, slices (the end of their first
    /// contiguous run), or partitions (their common cursor less the lookback window, else
    /// the least of them). `None` when the state knows no cursor.
    ///
    /// # Errors
    /// Config: there is a value, but it is no point in time. Starting anew without a word
    /// could mean to read years again.
    pub fn read(&self, state: &StreamState) -> Result<Option<i64>> {
        if let Some(run) = state.concurrent().and_then(|slices| slices.first_run()) {
            return self.parse(run.end).map(Some);
        }
        if let Some(partitions) = state.per_partition() {
            if let Some(global) = partitions.global {
                let lookback = partitions.lookback_seconds.unwrap_or(0).max(0);
                let lookback = lookback.saturating_mul(SECOND);
                return Ok(self.of(global)?.map(|at| at.saturating_sub(lookback)));
            }
            let cursors = partitions.states.iter().map(|state| self.of(state.cursor));
            // A partition without a cursor was not read at all: neither was the whole.
            let cursors: Option<Vec<i64>> = cursors.collect::<Result<_>>()?;
            return Ok(cursors.and_then(|cursors| cursors.into_iter().min()));
        }
        self.of(&state.0)
    }

    /// The watermark in the object of a simple state or of a partition's cursor.
    ///
    /// # Errors
    /// As [`Watermark::read`].
    pub fn of(&self, object: &Map<String, Value>) -> Result<Option<i64>> {
        match object.get(&self.key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.parse(value).map(Some),
        }
    }

    /// The simple state, as an object.
    pub fn object(&self, at: i64) -> Map<String, Value> {
        Map::from_iter([(self.key.clone(), self.format.value(at))])
    }

    /// The simple state.
    pub fn state(&self, at: i64) -> StreamState {
        StreamState(self.object(at))
    }

    fn parse(&self, value: &Value) -> Result<i64> {
        self.format.parse_json(&value.to_string()).ok_or_else(|| {
            Error::config(format!(
                "The saved state cannot be used: its '{}' is {value}, which is no date of this stream. Correct the state, or reset the stream to read it from the start.",
                self.key
            ))
        })
    }
}

/// Where a partition starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionStart {
    /// It has never been read.
    Anew,
    /// Its own cursor.
    Own(Map<String, Value>),
    /// The cursor that all partitions have in common, to go back from by so many seconds.
    Global(Map<String, Value>, i64),
}

/// The state of a stream by partitions, bounded in size.
///
/// Each partition has a cursor, an object that only its stream understands. When all have
/// been read, [`PartitionStates::finish`] notes the cursor that they have in common: new
/// partitions start from it next time, and if there are too many for one state, all do.
#[derive(Debug, Clone)]
pub struct PartitionStates {
    limit: usize,
    entries: Vec<Entry>,
    by_key: HashMap<String, usize>,
    global: Option<(Map<String, Value>, i64)>,
    overflowed: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    partition: Map<String, Value>,
    cursor: Map<String, Value>,
    /// Read in this run.
    touched: bool,
}

impl Default for PartitionStates {
    fn default() -> Self {
        Self::bounded(MAX_PARTITIONS)
    }
}

impl PartitionStates {
    /// No partition yet, and at most `limit` of them in a state.
    pub fn bounded(limit: usize) -> Self {
        PartitionStates {
            limit,
            entries: Vec::new(),
            by_key: HashMap::new(),
            global: None,
            overflowed: false,
        }
    }

    /// Takes over a state. The simple form counts for all partitions.
    pub fn load(mut self, state: &StreamState) -> Self {
        match state.per_partition() {
            Some(known) => {
                let lookback = known.lookback_seconds.unwrap_or(0).max(0);
                self.global = known.global.map(|global| (global.clone(), lookback));
                if !known.use_global_cursor {
                    for entry in &known.states {
                        self.insert(entry.partition, entry.cursor.clone(), false);
                    }
                }
            }
            None if !state.0.is_empty() => self.global = Some((state.0.clone(), 0)),
            None => {}
        }
        self
    }

    /// Where to start a partition.
    pub fn start(&self, partition: &Map<String, Value>) -> PartitionStart {
        if let Some(at) = self.by_key.get(&partition_key(partition)) {
            return PartitionStart::Own(self.entries[*at].cursor.clone());
        }
        match &self.global {
            Some((cursor, lookback)) => PartitionStart::Global(cursor.clone(), *lookback),
            None => PartitionStart::Anew,
        }
    }

    /// Notes a partition's progress.
    pub fn set(&mut self, partition: &Map<String, Value>, cursor: Map<String, Value>) {
        self.insert(partition, cursor, true);
    }

    fn insert(
        &mut self,
        partition: &Map<String, Value>,
        cursor: Map<String, Value>,
        touched: bool,
    ) {
        let key = partition_key(partition);
        if let Some(at) = self.by_key.get(&key) {
            let entry = &mut self.entries[*at];
            entry.cursor = cursor;
            entry.touched |= touched;
        } else if self.entries.len() < self.limit && !self.overflowed {
            self.by_key.insert(key, self.entries.len());
            self.entries.push(Entry { partition: partition.clone(), cursor, touched });
        } else {
            // Those that are known stay in use for this run, but no state tells of them.
            self.overflowed = true;
        }
    }

    /// Every partition was read: `global` is their cursor in common, and `took` how long the
    /// read took. Partitions that did not come up any more are forgotten.
    pub fn finish(&mut self, global: Map<String, Value>, took: Duration) {
        let seconds = took.as_secs_f64().ceil().max(1.0) as i64;
        self.global = Some((global, seconds));
        self.entries.retain(|entry| entry.touched);
        self.by_key = (self.entries.iter().enumerate())
            .map(|(at, entry)| (partition_key(&entry.partition), at))
            .collect();
    }

    /// Whether there is nothing that a state could tell.
    pub fn is_silent(&self) -> bool {
        self.global.is_none() && (self.overflowed || self.entries.is_empty())
    }

    /// The state. With too many partitions it tells of the cursor in common alone: until the
    /// run is finished, of the one that it began with, and of nothing if there was none.
    pub fn state(&self) -> StreamState {
        let mut state = Map::new();
        if self.overflowed && self.global.is_none() {
            return StreamState(state);
        }
        state.insert("use_global_cursor".into(), self.overflowed.into());
        if !self.overflowed {
            let list = self.entries.iter();
            let list = list.map(|e| json!({ "partition": e.partition, "cursor": e.cursor }));
            state.insert("states".into(), list.collect());
        }
        if let Some((cursor, lookback)) = &self.global {
            state.insert("state".into(), cursor.clone().into());
            state.insert("lookback_window".into(), (*lookback).into());
        }
        StreamState(state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(text: &str) -> StreamState {
        serde_json::from_str(text).unwrap()
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn watermark() -> Watermark {
        Watermark { key: "updated_at".into(), format: CursorFormat::RFC3339 }
    }

    fn read(text: &str) -> Option<String> {
        let at = watermark().read(&state(text)).unwrap()?;
        Some(watermark().format.text(at))
    }

    #[test]
    fn every_shape_has_a_watermark() {
        let is = |text: &str, expected: &str| assert_eq!(read(text).as_deref(), Some(expected));
        is(r#"{"updated_at":"2026-01-02T00:00:00+0000","other":1}"#, "2026-01-02T00:00:00Z");
        is(r#"{"updated_at":"2026-01-02"}"#, "2026-01-02T00:00:00Z");
        is(
            r#"{"state_type":"date-range","updated_at":"2020-01-01T00:00:00Z","slices":[
                {"start":"2026-01-01T00:00:00.000Z","end":"2026-01-31T23:59:59.999Z","most_recent_cursor_value":"2026-01-20T00:00:00.000Z"},
                {"start":"2026-02-01T00:00:00.000Z","end":"2026-02-10T00:00:00.000Z"},
                {"start":"2026-03-01T00:00:00.000Z","end":"2026-03-10T00:00:00.000Z"}]}"#,
            "2026-02-10T00:00:00Z",
        );
        is(
            r#"{"use_global_cursor":false,"states":[{"partition":{"id":1},"cursor":{"updated_at":"2026-01-09T00:00:00Z"}}],
                "state":{"updated_at":"2026-01-10T00:00:10Z"},"lookback_window":10}"#,
            "2026-01-10T00:00:00Z",
        );
        is(
            r#"{"states":[{"partition":{"id":1},"cursor":{"updated_at":"2026-01-09T00:00:00Z"}},
                {"partition":{"id":2},"cursor":{"updated_at":"2026-01-08T00:00:00Z"}}]}"#,
            "2026-01-08T00:00:00Z",
        );
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"updated_at":null,"x":1}"#), None);
        assert_eq!(read(r#"{"states":[{"partition":{},"cursor":{}}]}"#), None);
        assert_eq!(read(r#"{"__ab_no_cursor_state_message":true}"#), None);
    }

    #[test]
    fn an_unreadable_value_is_told_and_not_passed_over() {
        for text in [r#"{"updated_at":"soon"}"#, r#"{"updated_at":{"a":1}}"#, r#"{"updated_at":7}"#]
        {
            let error = watermark().read(&state(text)).unwrap_err();
            assert!(error.message().contains("'updated_at'"), "{error}");
        }
        let epoch = Watermark { key: "created".into(), format: CursorFormat::EpochSeconds };
        assert_eq!(epoch.read(&state(r#"{"created":5}"#)).unwrap(), Some(5 * SECOND));
        assert_eq!(epoch.read(&state(r#"{"created":"5"}"#)).unwrap(), Some(5 * SECOND));
        assert_eq!(epoch.state(5 * SECOND), state(r#"{"created":5}"#));
    }

    #[test]
    fn partitions_start_where_they_or_all_of_them_were() {
        let states = PartitionStates::default().load(&state(
            r#"{"use_global_cursor":false,"states":[{"partition":{"id":1,"parent_slice":{}},"cursor":{"u":1}}],
                "state":{"u":5},"lookback_window":2}"#,
        ));
        let known = states.start(&object(json!({ "parent_slice": {}, "id": 1 })));
        assert_eq!(known, PartitionStart::Own(object(json!({ "u": 1 }))));
        let new = states.start(&object(json!({ "parent_slice": {}, "id": "1" })));
        assert_eq!(new, PartitionStart::Global(object(json!({ "u": 5 })), 2));
        let simple = PartitionStates::default().load(&state(r#"{"u":3}"#));
        assert_eq!(simple.start(&Map::new()), PartitionStart::Global(object(json!({ "u": 3 })), 0));
        assert_eq!(PartitionStates::default().start(&Map::new()), PartitionStart::Anew);
    }

    #[test]
    fn the_state_grows_with_the_read_and_forgets_what_is_gone() {
        let id = |id: u64| object(json!({ "id": id }));
        let mut states = PartitionStates::default();
        states.set(&id(1), object(json!({ "u": 1 })));
        states.set(&id(2), object(json!({ "u": 2 })));
        states.set(&id(1), object(json!({ "u": 3 })));
        let expected = json!({ "use_global_cursor": false, "states": [
            { "partition": { "id": 1 }, "cursor": { "u": 3 } },
            { "partition": { "id": 2 }, "cursor": { "u": 2 } },
        ] });
        assert_eq!(Value::Object(states.state().0), expected);

        let mut states = PartitionStates::default().load(&states.state());
        states.set(&id(2), object(json!({ "u": 4 })));
        states.finish(object(json!({ "u": 4 })), Duration::from_millis(2100));
        let expected = json!({ "use_global_cursor": false,
            "states": [{ "partition": { "id": 2 }, "cursor": { "u": 4 } }],
            "state": { "u": 4 }, "lookback_window": 3 });
        assert_eq!(Value::Object(states.state().0), expected);
    }

    #[test]
    fn too_many_partitions_share_a_cursor() {
        let id = |id: u64| object(json!({ "id": id }));
        let mut states = PartitionStates::bounded(3).load(&state(r#"{"u":7}"#));
        for n in 0..5 {
            states.set(&id(n), object(json!({ "u": n })));
        }
        // Before the end nothing but the old cursor is true of all.
        let unfinished =
            json!({ "use_global_cursor": true, "state": { "u": 7 }, "lookback_window": 0 });
        assert_eq!(Value::Object(states.state().0), unfinished);
        states.finish(object(json!({ "u": 9 })), Duration::from_secs(60));
        let next = PartitionStates::bounded(3).load(&states.state());
        assert_eq!(next.start(&id(1)), PartitionStart::Global(object(json!({ "u": 9 })), 60));
        let mut first = PartitionStates::bounded(0);
        first.set(&id(1), object(json!({ "u": 1 })));
        assert!(first.state().0.is_empty());
    }

    proptest! {
        #[test]
        fn a_state_taken_over_says_the_same(
            cursors in proptest::collection::vec((0u64..20, 0i64..100), 0..30),
            limit in 0usize..25,
            finished in any::<bool>(),
        ) {
            let mut states = PartitionStates::bounded(limit);
            for (id, at) in &cursors {
                states.set(&object(json!({ "id": id })), object(json!({ "u": at })));
            }
            if finished {
                states.finish(object(json!({ "u": 100 })), Duration::from_secs(5));
            }
            let again = PartitionStates::bounded(limit).load(&states.state());
            prop_assert!(again.entries.len() <= limit);
            if !states.overflowed {
                for id in 0..20u64 {
                    let partition = object(json!({ "id": id }));
                    prop_assert_eq!(again.start(&partition), states.start(&partition));
                }
                prop_assert_eq!(again.state(), states.state());
            }
        }
    }
}
