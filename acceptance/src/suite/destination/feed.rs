//! What a destination is fed: catalogs, and lines for its stdin.

use serde_json::{Value, json};

use crate::checks::destination::Sent;

/// The time of extraction of the first record: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// A stream of a configured catalog.
#[derive(Debug, Clone)]
pub struct Target {
    entry: Value,
}

impl Target {
    /// A stream with the usual fields, appended, without ids.
    pub fn new(name: &str) -> Self {
        Self::with_fields(
            name,
            json!({
                "id": {"type": "integer"},
                "cursor": {"type": ["null", "integer"]},
                "name": {"type": ["null", "string"]},
                "amount": {"type": ["null", "number"]},
                "active": {"type": ["null", "boolean"]},
                "day": {"type": ["null", "string"], "format": "date"},
                "at": {
                    "type": ["null", "string"], "format": "date-time",
                    "airbyte_type": "timestamp_with_timezone",
                },
            }),
        )
    }

    /// A stream with these fields, appended, without ids.
    pub fn with_fields(name: &str, properties: Value) -> Self {
        let stream = json!({
            "name": name,
            "json_schema": {"type": "object", "properties": properties},
            "supported_sync_modes": ["full_refresh", "incremental"],
        });
        let entry = json!({
            "stream": stream,
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
            "cursor_field": [],
            "primary_key": [],
        });
        Self { entry }
    }

    /// `overwrite`, without ids.
    pub fn overwrite(mut self) -> Self {
        self.entry["destination_sync_mode"] = "overwrite".into();
        self
    }

    /// A refresh that replaces what older generations wrote.
    pub fn refresh(self, generation: i64) -> Self {
        self.ids(generation, generation)
    }

    /// The generation, and the least one that stays.
    pub fn ids(mut self, generation: i64, minimum: i64) -> Self {
        self.entry["generation_id"] = generation.into();
        self.entry["minimum_generation_id"] = minimum.into();
        self.entry["sync_id"] = (1000 + generation).into();
        self
    }

    /// `append_dedup` by these columns and the cursor.
    pub fn dedup(mut self, key: &[&str]) -> Self {
        self.entry["sync_mode"] = "incremental".into();
        self.entry["destination_sync_mode"] = "append_dedup".into();
        self.entry["cursor_field"] = json!(["cursor"]);
        self.entry["primary_key"] = key.iter().map(|name| json!([name])).collect();
        self
    }
}

/// The configured catalog of some streams.
pub fn catalog(targets: &[&Target], namespace: Option<&str>) -> Value {
    let mut streams: Vec<Value> = targets.iter().map(|target| target.entry.clone()).collect();
    if let Some(namespace) = namespace {
        streams.iter_mut().for_each(|entry| entry["stream"]["namespace"] = namespace.into());
    }
    json!({"streams": streams})
}

/// Lines for stdin, and the states among them.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    /// The lines, each with its newline.
    pub text: String,
    /// The states, with the records that each covers.
    pub sent: Vec<Sent>,
    /// Records by stream since its last state.
    open: Vec<(String, usize)>,
    records: i64,
}

impl Feed {
    /// No lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any line.
    pub fn line(mut self, line: &str) -> Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }

    /// A message.
    pub fn message(self, message: &Value) -> Self {
        self.line(&message.to_string())
    }

    /// A record, extracted a second after the one before.
    pub fn record(self, stream: &str, data: Value) -> Self {
        let at = json!(EPOCH_MS + 1000 * self.records);
        self.record_at(stream, data, at)
    }

    /// A record with this `emitted_at`.
    pub fn record_at(mut self, stream: &str, data: Value, emitted_at: Value) -> Self {
        self.records += 1;
        match self.open.iter_mut().find(|(name, _)| name == stream) {
            Some((_, count)) => *count += 1,
            None => self.open.push((stream.to_owned(), 1)),
        }
        let record = json!({"stream": stream, "data": data, "emitted_at": emitted_at});
        self.message(&json!({"type": "RECORD", "record": record}))
    }

    /// Records with ids from this range.
    pub fn rows(self, stream: &str, ids: std::ops::Range<i64>) -> Self {
        ids.fold(self, |feed, id| feed.record(stream, row(id)))
    }

    /// A STREAM state, as the platform writes it: with an id and fields that nobody knows.
    pub fn state(mut self, stream: &str, position: i64) -> Self {
        let count = self.take_open(Some(stream));
        let state = json!({
            "type": "STREAM",
            "stream": {
                "stream_descriptor": {"name": stream},
                "stream_state": {"position": position, "unknown": {"kept": [1, null, "ü"]}},
            },
            "sourceStats": {"recordCount": count as f64},
            "id": 100 + self.sent.len(),
        });
        self.sent.push(Sent { state: state.clone(), records: count });
        self.message(&json!({"type": "STATE", "state": state}))
    }

    /// A GLOBAL state of these streams.
    pub fn global_state(mut self, streams: &[&str], position: i64) -> Self {
        let count = self.take_open(None);
        let states: Vec<Value> = streams
            .iter()
            .map(|name| {
                let state = json!({"position": position});
                json!({"stream_descriptor": {"name": name}, "stream_state": state})
            })
            .collect();
        let state = json!({
            "type": "GLOBAL",
            "global": {"shared_state": {"lsn": position}, "stream_states": states},
            "sourceStats": {"recordCount": count as f64},
            "id": 100 + self.sent.len(),
        });
        self.sent.push(Sent { state: state.clone(), records: count });
        self.message(&json!({"type": "STATE", "state": state}))
    }

    /// A status.
    pub fn status(self, stream: &str, status: &str) -> Self {
        let body = json!({"stream_descriptor": {"name": stream}, "status": status});
        let trace = json!({"type": "STREAM_STATUS", "emitted_at": EPOCH_MS, "stream_status": body});
        self.message(&json!({"type": "TRACE", "trace": trace}))
    }

    /// The same for streams in a namespace.
    pub fn placed(&self, namespace: Option<&str>) -> Self {
        let mut feed = self.clone();
        let Some(namespace) = namespace else { return feed };
        feed.text.clear();
        for line in self.text.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(mut message) => {
                    place(&mut message, namespace);
                    feed.text.push_str(&message.to_string());
                }
                Err(_) => feed.text.push_str(line),
            }
            feed.text.push('\n');
        }
        for sent in &mut feed.sent {
            let mut message = json!({"state": sent.state});
            place(&mut message, namespace);
            sent.state = message["state"].take();
        }
        feed
    }

    fn take_open(&mut self, stream: Option<&str>) -> usize {
        let of =
            self.open.iter_mut().filter(|(name, _)| stream.is_none_or(|stream| stream == name));
        of.map(|(_, count)| std::mem::take(count)).sum()
    }
}

/// Puts the namespace beside every name of a stream in a message.
fn place(message: &mut Value, namespace: &str) {
    for pointer in
        ["/record", "/state/stream/stream_descriptor", "/trace/stream_status/stream_descriptor"]
    {
        if let Some(Value::Object(of)) = message.pointer_mut(pointer) {
            of.insert("namespace".to_owned(), namespace.into());
        }
    }
    let global = message.pointer_mut("/state/global/stream_states").and_then(Value::as_array_mut);
    for state in global.into_iter().flatten() {
        state["stream_descriptor"]["namespace"] = namespace.into();
    }
}

/// A record with the usual fields.
pub fn row(id: i64) -> Value {
    json!({
        "id": id,
        "cursor": id * 10,
        "name": format!("row {id}"),
        "amount": id as f64 + 0.25,
        "active": id % 2 == 0,
        "day": "2026-01-31",
        "at": "2026-01-31T10:00:00Z",
    })
}
