//! Whether the payload of a message has the fields that its type demands.

use serde_json::Value;

use crate::transcript::{Body, Line};

const RECORD_CHANGES: [&str; 2] = ["NULLED", "TRUNCATED"];
const CHANGE_REASONS: [&str; 11] = [
    "SOURCE_RECORD_SIZE_LIMITATION",
    "DESTINATION_RECORD_SIZE_LIMITATION",
    "PLATFORM_RECORD_SIZE_LIMITATION",
    "SOURCE_FIELD_SIZE_LIMITATION",
    "DESTINATION_FIELD_SIZE_LIMITATION",
    "PLATFORM_FIELD_SIZE_LIMITATION",
    "SOURCE_SERIALIZATION_ERROR",
    "DESTINATION_SERIALIZATION_ERROR",
    "PLATFORM_SERIALIZATION_ERROR",
    "SOURCE_RETRIEVAL_ERROR",
    "DESTINATION_TYPECAST_ERROR",
];

/// What is wrong with the payload of a message of a known type; nothing for other lines.
pub fn problems(line: &Line) -> Vec<String> {
    let mut is = Problems(Vec::new());
    match (&line.body, line.kind()) {
        (Body::Nothing, _) | (_, None) => {}
        (Body::Record(record), _) => is.record(&record.payload, &record.emitted_at),
        (Body::State(state), _) => is.state(&state.payload),
        (Body::Status(status), _) => is.trace(&status.payload),
        (Body::Error(error), _) => is.trace(&error.payload),
        (Body::Other { payload }, Some(kind)) => is.other(kind, payload),
    }
    is.0
}

struct Problems(Vec<String>);

impl Problems {
    fn note(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    fn other(&mut self, kind: &str, payload: &Value) {
        let Some(key) = crate::transcript::payload_key(kind) else { return };
        if payload.is_null() {
            return self.note(format!("it has no `{key}`"));
        }
        match kind {
            "RECORD" => {
                self.string(payload, "record", "stream");
                if !payload["data"].is_object() {
                    self.note("`record.data` is no object");
                }
                self.record(payload, &payload["emitted_at"]);
            }
            "STATE" => self.note("`state` is no object"),
            "LOG" => {
                self.one_of(
                    payload,
                    "log",
                    "level",
                    &["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"],
                );
                self.string(payload, "log", "message");
            }
            "TRACE" => self.trace(payload),
            "CONTROL" => {
                self.one_of(payload, "control", "type", &["CONNECTOR_CONFIG"]);
                self.number(payload, "control", "emitted_at");
                if !payload.pointer("/connectorConfig/config").is_some_and(Value::is_object) {
                    self.note("`control.connectorConfig.config` is no object");
                }
            }
            "CONNECTION_STATUS" => {
                self.one_of(payload, "connectionStatus", "status", &["SUCCEEDED", "FAILED"]);
                self.optional_string(payload, "connectionStatus", "message");
            }
            "SPEC" => {
                if !payload["connectionSpecification"].is_object() {
                    self.note("`spec.connectionSpecification` is no object");
                }
                self.optional_string(payload, "spec", "documentationUrl");
            }
            "CATALOG" => self.catalog(payload),
            _ => {}
        }
    }

    fn catalog(&mut self, payload: &Value) {
        let Some(streams) = payload["streams"].as_array() else {
            return self.note("`catalog.streams` is no list");
        };
        for (at, stream) in streams.iter().enumerate() {
            let of = format!("catalog.streams[{at}]");
            self.string(stream, &of, "name");
            if !stream["json_schema"].is_object() {
                self.note(format!("`{of}.json_schema` is no object"));
            }
            self.optional_string(stream, &of, "namespace");
        }
    }

    fn record(&mut self, payload: &Value, emitted_at: &Value) {
        match emitted_at {
            Value::Number(number) if number.is_i64() || number.is_u64() => {}
            Value::Null => self.note("the record has no `emitted_at`"),
            other => self.note(format!("`record.emitted_at` is no integer but {other}")),
        }
        self.optional_string(payload, "record", "namespace");
        let changes = payload.pointer("/meta/changes").and_then(Value::as_array);
        for change in changes.into_iter().flatten() {
            self.string(change, "record.meta.changes[]", "field");
            self.one_of(change, "record.meta.changes[]", "change", &RECORD_CHANGES);
            self.one_of(change, "record.meta.changes[]", "reason", &CHANGE_REASONS);
        }
    }

    fn state(&mut self, payload: &Value) {
        if !payload["type"].is_null() {
            self.one_of(payload, "state", "type", &["STREAM", "GLOBAL", "LEGACY"]);
        }
        match payload["type"].as_str() {
            Some("STREAM") => self.stream_state(&payload["stream"], "state.stream"),
            Some("GLOBAL") => match payload.pointer("/global/stream_states") {
                Some(Value::Array(states)) => {
                    for state in states {
                        self.stream_state(state, "state.global.stream_states[]");
                    }
                }
                _ => self.note("`state.global.stream_states` is no list"),
            },
            _ => {}
        }
        for key in ["sourceStats", "destinationStats"] {
            let stats = &payload[key];
            for count in ["recordCount", "rejectedRecordCount"] {
                if !stats[count].is_null() && !stats[count].is_number() {
                    self.note(format!("`state.{key}.{count}` is no number"));
                }
            }
        }
    }

    fn stream_state(&mut self, entry: &Value, of: &str) {
        self.string(&entry["stream_descriptor"], &format!("{of}.stream_descriptor"), "name");
        let state = &entry["stream_state"];
        if !state.is_null() && !state.is_object() {
            self.note(format!("`{of}.stream_state` is no object"));
        }
    }

    fn trace(&mut self, payload: &Value) {
        self.one_of(payload, "trace", "type", &["ERROR", "ESTIMATE", "STREAM_STATUS", "ANALYTICS"]);
        self.number(payload, "trace", "emitted_at");
        match payload["type"].as_str() {
            Some("ERROR") => {
                self.string(&payload["error"], "trace.error", "message");
                if !payload["error"]["failure_type"].is_null() {
                    self.one_of(
                        &payload["error"],
                        "trace.error",
                        "failure_type",
                        &["system_error", "config_error", "transient_error"],
                    );
                }
            }
            Some("ESTIMATE") => {
                self.string(&payload["estimate"], "trace.estimate", "name");
                self.one_of(&payload["estimate"], "trace.estimate", "type", &["STREAM", "SYNC"]);
            }
            Some("STREAM_STATUS") => {
                let status = &payload["stream_status"];
                self.string(
                    &status["stream_descriptor"],
                    "trace.stream_status.stream_descriptor",
                    "name",
                );
                let values = ["STARTED", "RUNNING", "COMPLETE", "INCOMPLETE"];
                self.one_of(status, "trace.stream_status", "status", &values);
                for reason in status["reasons"].as_array().into_iter().flatten() {
                    let of = "trace.stream_status.reasons[]";
                    self.one_of(reason, of, "type", &["RATE_LIMITED"]);
                }
            }
            Some("ANALYTICS") => self.string(&payload["analytics"], "trace.analytics", "type"),
            _ => {}
        }
    }

    fn string(&mut self, object: &Value, of: &str, key: &str) {
        match object.get(key) {
            Some(Value::String(_)) => {}
            None | Some(Value::Null) => self.note(format!("`{of}.{key}` is missing")),
            Some(other) => self.note(format!("`{of}.{key}` is no string but {other}")),
        }
    }

    fn optional_string(&mut self, object: &Value, of: &str, key: &str) {
        if object.get(key).is_some_and(|value| !value.is_null()) {
            self.string(object, of, key);
        }
    }

    fn number(&mut self, object: &Value, of: &str, key: &str) {
        match object.get(key) {
            Some(Value::Number(_)) => {}
            None | Some(Value::Null) => self.note(format!("`{of}.{key}` is missing")),
            Some(other) => self.note(format!("`{of}.{key}` is no number but {other}")),
        }
    }

    fn one_of(&mut self, object: &Value, of: &str, key: &str, values: &[&str]) {
        match object.get(key) {
            Some(Value::String(text)) if values.contains(&text.as_str()) => {}
            None | Some(Value::Null) => self.note(format!("`{of}.{key}` is missing")),
            Some(other) => {
                self.note(format!("`{of}.{key}` is {other}, not one of {}", values.join(", ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(text: &str) -> Vec<String> {
        problems(&Line::read(1, text.as_bytes().to_vec(), Duration::ZERO))
    }

    #[test]
    fn good_messages_have_no_problems() {
        for text in [
            r#"{"type":"RECORD","record":{"stream":"a","namespace":null,"data":{},"emitted_at":1,"meta":{"changes":[{"field":"x","change":"NULLED","reason":"SOURCE_RETRIEVAL_ERROR"}]}}}"#,
            r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":null},"sourceStats":{"recordCount":1.0}}}"#,
            r#"{"type":"STATE","state":{"type":"GLOBAL","global":{"stream_states":[]}}}"#,
            r#"{"type":"LOG","log":{"level":"INFO","message":""}}"#,
            r#"{"type":"TRACE","trace":{"type":"ANALYTICS","emitted_at":1.5,"analytics":{"type":"x"}}}"#,
            r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1.5,"error":{"message":"x"}}}"#,
            r#"{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","emitted_at":1,"connectorConfig":{"config":{}}}}"#,
            r#"{"type":"CONNECTION_STATUS","connectionStatus":{"status":"SUCCEEDED"}}"#,
            r#"{"type":"CATALOG","catalog":{"streams":[{"name":"a","json_schema":{}}]}}"#,
            r#"{"type":"SPEC","spec":{"connectionSpecification":{}}}"#,
        ] {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn bad_payloads_are_found() {
        for text in [
            r#"{"type":"RECORD"}"#,
            r#"{"type":"RECORD","record":{"stream":"a","data":[],"emitted_at":1}}"#,
            r#"{"type":"RECORD","record":{"stream":"a","data":{},"emitted_at":1.5}}"#,
            r#"{"type":"RECORD","record":{"stream":"a","data":{}}}"#,
            r#"{"type":"RECORD","record":{"stream":"a","data":{},"emitted_at":1,"meta":{"changes":[{"field":"x","change":"LOST","reason":"SOURCE_RETRIEVAL_ERROR"}]}}}"#,
            r#"{"type":"STATE","state":[]}"#,
            r#"{"type":"STATE","state":{"type":"STREAM","stream":{}}}"#,
            r#"{"type":"STATE","state":{"type":"GLOBAL"}}"#,
            r#"{"type":"LOG","log":{"level":"WARNING","message":""}}"#,
            r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":"now","error":{"message":"x"}}}"#,
            r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{}}}"#,
            r#"{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1,"stream_status":{"stream_descriptor":{"name":"a"},"status":"DONE"}}}"#,
            r#"{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","emitted_at":1}}"#,
            r#"{"type":"CONNECTION_STATUS","connectionStatus":{"status":"OK"}}"#,
            r#"{"type":"CATALOG","catalog":{}}"#,
            r#"{"type":"SPEC","spec":{}}"#,
        ] {
            assert!(!of(text).is_empty(), "{text}");
        }
    }
}
