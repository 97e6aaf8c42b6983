//! The streams of a source, and configured catalogs made of them.

use airbyte_protocol::StreamDescriptor;
use serde_json::{Map, Value, json};

/// A stream as the catalog offers it.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// Name and namespace.
    pub descriptor: StreamDescriptor,
    /// The stream as discover printed it.
    pub raw: Value,
    /// The paths of the primary key; empty when there is none.
    pub primary_key: Vec<Vec<String>>,
    /// The path of the cursor; empty when there is none.
    pub cursor: Vec<String>,
    /// Whether it can be read incrementally.
    pub is_incremental: bool,
    /// Whether a full refresh can be resumed.
    pub is_resumable: bool,
}

impl StreamInfo {
    fn of(raw: &Value) -> Option<Self> {
        let descriptor = crate::transcript::descriptor(raw)?;
        let modes = raw["supported_sync_modes"].as_array();
        let is_incremental = modes.into_iter().flatten().any(|mode| mode == "incremental");
        let keys = raw["source_defined_primary_key"].as_array();
        Some(Self {
            primary_key: keys.into_iter().flatten().map(path).collect(),
            cursor: path(&raw["default_cursor_field"]),
            is_resumable: raw["is_resumable"] == true,
            is_incremental,
            descriptor,
            raw: raw.clone(),
        })
    }

    /// The values of the primary key, or `None` when a part is missing from the record.
    pub fn key_values<'a>(&self, data: &'a Value) -> Option<Vec<&'a Value>> {
        self.primary_key.iter().map(|path| at(data, path)).collect()
    }

    /// The value of the cursor in a record.
    pub fn cursor_value<'a>(&self, data: &'a Value) -> Option<&'a Value> {
        if self.cursor.is_empty() { None } else { at(data, &self.cursor) }
    }
}

fn path(value: &Value) -> Vec<String> {
    let parts = value.as_array().into_iter().flatten();
    parts.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The value at a path of member names.
pub fn at<'a>(data: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(data, |value, part| value.get(part))
}

/// The streams of a CATALOG payload; entries that are no streams are left out.
pub fn of_catalog(catalog: &Value) -> Vec<StreamInfo> {
    let streams = catalog["streams"].as_array();
    streams.into_iter().flatten().filter_map(StreamInfo::of).collect()
}

/// The streams of a configured catalog, with the cursors and keys that it chose.
pub fn of_configured(catalog: &Value) -> Vec<StreamInfo> {
    let entries = catalog["streams"].as_array();
    let stream = |entry: &Value| {
        let mut stream = StreamInfo::of(&entry["stream"])?;
        let chosen = path(&entry["cursor_field"]);
        if entry["stream"]["source_defined_cursor"] != true && !chosen.is_empty() {
            stream.cursor = chosen;
        }
        if stream.primary_key.is_empty() {
            let keys = entry["primary_key"].as_array();
            stream.primary_key = keys.into_iter().flatten().map(path).collect();
        }
        Some(stream)
    };
    entries.into_iter().flatten().filter_map(stream).collect()
}

/// The way in which streams are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Everything again.
    FullRefresh,
    /// What is new, of streams that can; the others in full.
    Incremental,
}

/// A configured catalog of these streams, as the platform writes it.
pub fn configured<'a>(streams: impl IntoIterator<Item = &'a StreamInfo>, asked: Asked) -> Value {
    let entries: Vec<Value> =
        streams.into_iter().map(|stream| configured_stream(stream, asked)).collect();
    json!({ "streams": entries })
}

fn configured_stream(stream: &StreamInfo, asked: Asked) -> Value {
    let is_incremental = asked == Asked::Incremental && stream.is_incremental;
    let mut entry = Map::new();
    entry.insert("stream".into(), stream.raw.clone());
    let mode = if is_incremental { "incremental" } else { "full_refresh" };
    entry.insert("sync_mode".into(), mode.into());
    let dedups = is_incremental && !stream.primary_key.is_empty();
    let destination = if dedups { "append_dedup" } else { "append" };
    entry.insert("destination_sync_mode".into(), destination.into());
    if !stream.cursor.is_empty() {
        entry.insert("cursor_field".into(), json!(stream.cursor));
    }
    if !stream.primary_key.is_empty() {
        entry.insert("primary_key".into(), json!(stream.primary_key));
    }
    for (key, value) in [("generation_id", 1), ("minimum_generation_id", 0), ("sync_id", 1)] {
        entry.insert(key.into(), value.into());
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_taken_apart_and_configured() {
        let catalog = json!({"streams": [
            {"name": "a", "namespace": "n", "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"],
             "default_cursor_field": ["m", "t"], "source_defined_primary_key": [["id"]], "is_resumable": true},
            {"name": "b", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            {"json_schema": {}},
        ]});
        let streams = of_catalog(&catalog);
        assert_eq!(streams.len(), 2);
        assert!(streams[0].is_incremental && streams[0].is_resumable && !streams[1].is_incremental);
        let data = json!({"id": 1, "m": {"t": 5}});
        assert_eq!(streams[0].cursor_value(&data), Some(&json!(5)));
        assert_eq!(streams[0].key_values(&data), Some(vec![&json!(1)]));
        assert_eq!(streams[0].key_values(&json!({})), None);
        let configured = configured(&streams, Asked::Incremental);
        assert_eq!(configured["streams"][0]["sync_mode"], "incremental");
        assert_eq!(configured["streams"][1]["sync_mode"], "full_refresh");
        assert_eq!(of_configured(&configured)[0].cursor, ["m", "t"]);
    }
}
