//! The file of expected records.

use std::path::Path;

use airbyte_protocol::StreamDescriptor;
use serde_json::Value;

use super::ConfigError;

/// A record that has to come.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedRecord {
    /// The line of the file, from 1.
    pub line: usize,
    /// Its stream.
    pub stream: StreamDescriptor,
    /// The record.
    pub data: Value,
}

/// Reads a file of JSON lines with `stream`, `data` and perhaps `namespace`; a whole RECORD message
/// is taken, too.
///
/// # Errors
/// The file cannot be read, or a line is no record.
pub fn expected_records(path: &Path) -> Result<Vec<ExpectedRecord>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::new(format!("{}: {error}", path.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(at, line)| {
        record(at + 1, line).ok_or_else(|| {
            ConfigError::new(format!(
                "{}, line {}: each line is a record: {}",
                path.display(),
                at + 1,
                r#"{"stream": "users", "data": {..}}"#
            ))
        })
    });
    records.collect()
}

fn record(number: usize, line: &str) -> Option<ExpectedRecord> {
    let value: Value = serde_json::from_str(line).ok()?;
    let value = value.get("record").filter(|_| value["type"] == "RECORD").unwrap_or(&value);
    let name = value["stream"].as_str()?.to_owned();
    let namespace = value["namespace"].as_str().map(str::to_owned);
    let data = value.get("data").filter(|data| data.is_object())?.clone();
    Some(ExpectedRecord { line: number, stream: StreamDescriptor { name, namespace }, data })
}
