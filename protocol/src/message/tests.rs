use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LogLevel, Message, StateType, emitted_at_ms};
use crate::error::FailureType;

fn parse(line: &str) -> Message {
    Message::parse(line).unwrap()
}

/// One of each kind, with fields that this version does not know.
fn examples() -> Vec<Value> {
    vec![
        json!({"type": "RECORD", "record": {"stream": "s", "namespace": "n", "data": {"id": 1}, "emitted_at": 1767225600123i64,
            "meta": {"changes": [{"field": "a", "change": "NULLED", "reason": "SOURCE_RETRIEVAL_ERROR", "x": 1}]},
            "file_reference": {"file_size_bytes": 5}}}),
        json!({"type": "STATE", "state": {"type": "STREAM", "stream": {"stream_descriptor": {"name": "s"},
            "stream_state": {"a": [1, null]}}, "sourceStats": {"recordCount": 3.0}, "id": 17}}),
        json!({"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"lsn": 88}, "stream_states":
            [{"stream_descriptor": {"name": "t", "namespace": "public"}, "stream_state": {"done": true}}]},
            "destinationStats": {"recordCount": 3.0, "additionalStats": {"bytes": 1.0}}}}),
        json!({"type": "STATE", "state": {"type": "LEGACY", "data": {"s": {"a": 1}}}}),
        json!({"type": "LOG", "log": {"level": "WARN", "message": "m", "stack_trace": "t", "x": 1}}),
        json!({"type": "SPEC", "spec": {"documentationUrl": "https://example.org", "connectionSpecification": {"type": "object"},
            "supported_destination_sync_modes": ["append"], "protocol_version": "0.18.0", "supportsDBT": false,
            "advanced_auth": {"auth_flow_type": "oauth2.0", "predicate_key": ["c", "t"], "predicate_value": "o",
                "oauth_config_specification": {"oauth_connector_input_specification":
                    {"consent_url": "u", "access_token_url": "v", "scope_key": "s"}}}}}),
        json!({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED", "message": "no"}}),
        json!({"type": "CATALOG", "catalog": {"streams": [{"name": "s", "json_schema": {"type": "object"},
            "supported_sync_modes": ["full_refresh", "sideways"], "is_resumable": true, "x": 1}]}}),
        json!({"type": "DESTINATION_CATALOG", "destination_catalog": {"operations": [{"object_name": "Contact",
            "sync_mode": "update", "json_schema": {}, "matching_keys": [["email"]]}]}}),
        json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1767225600500.5, "error": {"message": "m",
            "internal_message": "i", "failure_type": "config_error", "stream_descriptor": {"name": "s"}}}}),
        json!({"type": "TRACE", "trace": {"type": "ESTIMATE", "emitted_at": 1.0, "estimate":
            {"name": "s", "type": "STREAM", "row_estimate": 5}}}),
        json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.0, "stream_status":
            {"stream_descriptor": {"name": "s"}, "status": "RUNNING", "reasons": [{"type": "RATE_LIMITED",
                "rate_limited": {"quota_reset": 1767225660000i64}}]}}}),
        json!({"type": "TRACE", "trace": {"type": "ANALYTICS", "emitted_at": 1.0, "analytics": {"type": "t", "value": "1"}}}),
        json!({"type": "CONTROL", "control": {"type": "CONNECTOR_CONFIG", "emitted_at": 1.5, "connectorConfig":
            {"config": {"token": "A2"}}}}),
        json!({"type": "NEWS", "news": {"a": 1}}),
    ]
}

#[test]
fn every_message_comes_out_as_it_went_in() {
    for example in examples() {
        let message = parse(&example.to_string());
        assert_eq!(message.kind(), example["type"]);
        let again: Value = serde_json::from_str(&message.to_line()).unwrap();
        assert_eq!(again, example);
    }
}

#[test]
fn null_members_are_absent() {
    const KEYS: [&str; 8] =
        ["record", "state", "log", "spec", "connectionStatus", "catalog", "trace", "control"];
    for example in examples() {
        let mut padded = example.clone();
        for key in KEYS {
            if padded.get(key).is_none() {
                padded[key] = Value::Null;
            }
        }
        if example["type"] != "NEWS" {
            assert_eq!(parse(&padded.to_string()).to_line(), parse(&example.to_string()).to_line());
        }
    }
}

#[test]
fn unknown_values_are_kept_and_repeated_keys_are_no_error() {
    let Message::Log(log) =
        parse(r#"{"log":{"level":"LOUD","level":"SOFT","message":"m"},"type":"LOG","type":"LOG"}"#)
    else {
        panic!("not a log message");
    };
    assert_eq!(log.level, LogLevel::Other("SOFT".into()));
    let pyairbyte = r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"users",
        "namespace":null},"stream_state":null},"global_":null,"data":null,"sourceStats":{"recordCount":3,
        "rejectedRecordCount":null},"destinationStats":null,"global_":null}}"#;
    let Message::State(state) = parse(pyairbyte) else { panic!("not a state message") };
    assert_eq!(state.kind, Some(StateType::Stream));
    assert_eq!(state.source_stats.unwrap().record_count, Some(3.0));
    assert_eq!(state.stream.unwrap().stream_state, None);
}

#[test]
fn the_data_of_a_record_stays_the_text_that_it_was() {
    let deep = format!("{}1{}", "{\"a\":[".repeat(450), "]}".repeat(450));
    let lone = r#"{"n": 12345678901234567890.120, "big":123456789012345678901234567890,"s":"\ud800 \u0000"}"#;
    for data in [deep.as_str(), lone] {
        let line = format!(
            r#"{{"type":"RECORD","record":{{"stream":"s","data":{data},"emitted_at":1767225600123}}}}"#
        );
        let Message::Record(record) = parse(&line) else { panic!("not a record") };
        assert_eq!(record.data.get(), data);
        assert_eq!(parse(&line).to_line(), line);
    }
}

#[test]
fn emitted_at_is_understood_in_seconds_and_with_decimals() {
    for (text, expected) in [
        ("1767225600123", 1767225600123),
        ("1767225600123.7", 1767225600123),
        ("1767225600", 1767225600000),
        ("1767225600.5", 1767225600500),
        ("0", 0),
    ] {
        assert_eq!(emitted_at_ms(&serde_json::from_str(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn what_is_no_message_says_why() {
    for (line, part) in [
        ("hello", "expected value"),
        ("[1]", "a JSON object"),
        ("{}", "no `type`"),
        (r#"{"type":"RECORD"}"#, "no `record`"),
        (r#"{"type":"RECORD","record":{"stream":"s","emitted_at":1}}"#, "no `data`"),
        (r#"{"type":"RECORD","record":{"data":{},"emitted_at":1}}"#, "no `stream`"),
        (r#"{"type":"LOG","log":{"message":"m"}}"#, "level"),
        (r#"{"type":"CONNECTION_STATUS","connection_status":{}}"#, "no `connectionStatus`"),
        (r#"{"type":"LOG","log":{"level":"INFO","message":"m"}} {}"#, "trailing"),
    ] {
        let error = Message::parse(line).unwrap_err();
        assert_eq!(error.kind(), FailureType::System);
        assert!(error.message().contains(part), "{line}: {error}");
    }
}

#[test]
fn the_kind_of_an_error_and_the_configuration_can_be_asked_for() {
    for example in examples() {
        match parse(&example.to_string()) {
            Message::Trace(trace) if trace.error.is_some() => {
                assert_eq!(trace.error.unwrap().kind(), Some(FailureType::Config));
            }
            Message::Control(control) => {
                assert_eq!(control.config(), Some(&json!({"token": "A2"})))
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(example in prop::sample::select(examples()), at in any::<prop::sample::Index>(),
        with in "[\\x00-\\x7f]{0,3}") {
        let mut text = example.to_string();
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &with);
        if let Ok(message) = Message::parse(&text) {
            prop_assert!(Message::parse(&message.to_line()).is_ok());
        }
    }
}
