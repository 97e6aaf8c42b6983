//! The view of a state that keeps a cursor for each partition.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// A state of the shape `{"states": [{"partition": …, "cursor": …}], "state": …, …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct PerPartitionState<'a> {
    /// The partitions with a cursor of their own, in the order of the state.
    pub states: Vec<PartitionState<'a>>,
    /// The cursor for partitions that are not listed.
    pub global: Option<&'a Map<String, Value>>,
    /// True when the listed cursors no longer count, only the global one.
    pub use_global_cursor: bool,
    /// How far to go back behind the cursor, in seconds.
    pub lookback_seconds: Option<i64>,
    /// The states of the parent streams, by their names.
    pub parent_state: Option<&'a Map<String, Value>>,
    by_key: HashMap<String, usize>,
}

/// The cursor of one partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartitionState<'a> {
    /// What makes the partition, such as the parent's id.
    pub partition: &'a Map<String, Value>,
    /// Its cursor, such as `{"updated_at": …}`.
    pub cursor: &'a Map<String, Value>,
}

impl<'a> PerPartitionState<'a> {
    pub(super) fn of(state: &'a Map<String, Value>) -> Option<Self> {
        let object =
            |key: &str| state.get(key).and_then(Value::as_object).filter(|o| !o.is_empty());
        let list = state.get("states").and_then(Value::as_array);
        let use_global_cursor = state.get("use_global_cursor").and_then(Value::as_bool);
        if list.is_none() && use_global_cursor.is_none() {
            return None;
        }
        let states: Vec<_> = list.into_iter().flatten().filter_map(PartitionState::of).collect();
        let by_key = states
            .iter()
            .enumerate()
            .map(|(at, state)| (partition_key(state.partition), at))
            .collect();
        Some(Self {
            states,
            global: object("state"),
            use_global_cursor: use_global_cursor.unwrap_or(false),
            lookback_seconds: state.get("lookback_window").and_then(Value::as_i64),
            parent_state: object("parent_state"),
            by_key,
        })
    }

    /// The cursor to start a partition from: its own, or the global one when it has none or when
    /// only the global one counts.
    pub fn cursor(&self, partition: &Map<String, Value>) -> Option<&'a Map<String, Value>> {
        if self.use_global_cursor {
            return self.global;
        }
        let own = self.by_key.get(&partition_key(partition)).map(|at| self.states[*at].cursor);
        own.or(self.global)
    }
}

impl<'a> PartitionState<'a> {
    fn of(entry: &'a Value) -> Option<Self> {
        Some(Self {
            partition: entry.get("partition")?.as_object()?,
            cursor: entry.get("cursor")?.as_object()?,
        })
    }
}

/// A text that is the same for equal partitions, whatever the order of their members.
pub fn partition_key(partition: &Map<String, Value>) -> String {
    let mut key = String::new();
    write_object(&mut key, partition);
    key
}

fn write_object(out: &mut String, object: &Map<String, Value>) {
    let mut members: Vec<_> = object.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    out.push('{');
    for (name, value) in members {
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        write_value(out, value);
        out.push(',');
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Object(object) => write_object(out, object),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_value(out, item);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StreamState;

    const STATE: &str = r#"{"use_global_cursor":false,"states":[
        {"partition":{"id":7,"parent_slice":{"b":1,"a":2}},"cursor":{"updated_at":"2026-01-02"}},
        {"partition":"broken"}],
        "state":{"updated_at":"2026-01-01"},"lookback_window":5,"parent_state":{"tickets":{"x":1}}}"#;

    fn partition(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn partitions_are_found_by_value_and_others_get_the_global_cursor() {
        let state: StreamState = serde_json::from_str(STATE).unwrap();
        let view = state.per_partition().unwrap();
        let own = view.cursor(&partition(r#"{"parent_slice":{"a":2,"b":1},"id":7}"#)).unwrap();
        assert_eq!(own["updated_at"], "2026-01-02");
        assert_eq!(view.cursor(&partition(r#"{"id":8}"#)).unwrap()["updated_at"], "2026-01-01");
        assert_eq!(view.states.len(), 1);
        assert_eq!(view.lookback_seconds, Some(5));
        assert_eq!(view.parent_state.unwrap()["tickets"]["x"], 1);
    }

    #[test]
    fn a_global_cursor_overrides_the_listed_ones() {
        let text = STATE.replace("\"use_global_cursor\":false", "\"use_global_cursor\":true");
        let state: StreamState = serde_json::from_str(&text).unwrap();
        let view = state.per_partition().unwrap();
        let cursor = view.cursor(&partition(r#"{"id":7,"parent_slice":{"a":2,"b":1}}"#)).unwrap();
        assert_eq!(cursor["updated_at"], "2026-01-01");
    }

    #[test]
    fn other_states_have_no_such_view() {
        let state: StreamState = serde_json::from_str(r#"{"updated_at":"2026-01-01"}"#).unwrap();
        assert_eq!(state.per_partition(), None);
    }
}
