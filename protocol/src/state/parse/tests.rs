use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::catalog::StreamDescriptor;
use crate::error::FailureType;
use crate::state::{InputState, StreamState};

const USERS: &str =
    r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":{"n":5}}}"#;

fn parse(text: &str) -> InputState {
    InputState::parse(text).unwrap()
}

fn n_of(state: &InputState, name: &str) -> Option<i64> {
    state.stream(&StreamDescriptor::new(name))?.simple("n")?.as_i64()
}

#[test]
fn files_without_state() {
    for text in [
        "",
        " \n",
        "\u{feff}",
        "null",
        "[]",
        "{}",
        "[null]",
        "[{}]",
        r#"{"users":null}"#,
        r#"{"users":{}}"#,
    ] {
        assert!(parse(text).is_empty(), "{text}");
    }
}

#[test]
fn every_shape_that_runners_write() {
    let pyairbyte = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":null},
        "stream_state":{"n":5}},"global_":null,"data":null,"sourceStats":{"recordCount":0.0,
        "rejectedRecordCount":null},"destinationStats":null,"global_":null,"id":7}]"#;
    let list = format!("[{USERS}]");
    let message = format!(r#"{{"type":"STATE","state":{USERS}}}"#);
    let messages = format!("[{message},{message}]");
    let lines = format!(
        "{}\n{message}\n\n{}\n",
        r#"{"type":"RECORD","record":{"stream":"users","data":{"n":1},"emitted_at":1}}"#,
        r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"x"}}}"#,
    );
    let global = |key: &str| {
        format!(
            r#"[{{"type":"GLOBAL","{key}":{{"shared_state":{{"lsn":1}},"stream_states":[
            {{"stream_descriptor":{{"name":"users"}},"stream_state":{{"n":5}}}}]}},"stream":null}}]"#
        )
    };
    for text in [
        USERS,
        &list,
        pyairbyte,
        &message,
        &messages,
        &lines,
        &global("global"),
        &global("global_"),
        &global("global").replace(r#""type":"GLOBAL","#, ""),
        r#"[{"type":"LEGACY","data":{"users":{"n":5}}}]"#,
        r#"{"data":{"users":{"n":5}},"type":null}"#,
        r#"{"users":{"n":5},"others":{"n":6},"nothing":null}"#,
        r#"{"stream_descriptor":{"name":"users"},"stream_state":{"n":5}}"#,
        r#"[{"stream":{"stream_descriptor":{"name":"users"},"stream_state":{"n":5}}}]"#,
        r#"{"data":{"n":1},"users":{"n":5}}"#,
    ] {
        assert_eq!(n_of(&parse(text), "users"), Some(5), "{text}");
    }
    assert_eq!(parse(&global("global")).shared().unwrap()["lsn"], 1);
}

#[test]
fn a_stream_called_data_is_told_from_the_old_wrapper() {
    assert_eq!(n_of(&parse(r#"{"data":{"n":1}}"#), "data"), Some(1));
}

#[test]
fn the_last_state_of_a_stream_counts_and_null_takes_it_away() {
    let later = USERS.replace("\"n\":5", "\"n\":6");
    assert_eq!(n_of(&parse(&format!("[{USERS},{later}]")), "users"), Some(6));
    let gone = USERS.replace("{\"n\":5}", "null");
    assert_eq!(n_of(&parse(&format!("[{USERS},{gone}]")), "users"), None);
}

#[test]
fn namespaces_tell_streams_apart_and_null_is_none() {
    let text = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"a","namespace":"x"},"stream_state":{"n":1}}},
        {"type":"STREAM","stream":{"stream_descriptor":{"name":"a","namespace":null},"stream_state":{"n":2}}}]"#;
    let state = parse(text);
    assert_eq!(n_of(&state, "a"), Some(2));
    let inside = state.stream(&StreamDescriptor::in_namespace("x", "a")).unwrap();
    assert_eq!(inside.simple("n"), Some(&Value::from(1)));
    assert_eq!(state.stream(&StreamDescriptor::in_namespace("y", "a")), None);
}

#[test]
fn broken_files_say_what_is_wrong() {
    for (text, part) in [
        ("[{]", "line 1 column 3"),
        ("4", "neither"),
        ("\"state\"", "neither"),
        ("[4]", "Entry 0"),
        (r#"[{"type":"SIDEWAYS"}]"#, "`SIDEWAYS`"),
        (r#"[{"type":"STREAM"}]"#, "no object `stream`"),
        (r#"[{"type":"STREAM","stream":{"stream_state":{}}}]"#, "stream_descriptor"),
        (
            r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":"x"}}]"#,
            "`users`",
        ),
        (r#"{"users":[1]}"#, "`users`"),
        (r#"[{"users":{"n":1}}]"#, "no `type`"),
        (r#"{"type":"STATE"}"#, "without a state"),
        (r#"[{"type":"GLOBAL","global":{"stream_states":{}}}]"#, "not a list"),
        (r#"[{"type":"LEGACY","data":[]}]"#, "not an object"),
    ] {
        let error = InputState::parse(text).unwrap_err();
        assert_eq!(error.kind(), FailureType::Config);
        assert!(error.message().contains(part), "{text}: {}", error.message());
    }
}

#[test]
fn many_streams_that_nobody_asked_for_do_no_harm() {
    let entry = |at: usize| USERS.replace("users", &format!("stream_{at}"));
    let entries: Vec<String> = (0..10_000).map(entry).collect();
    let state = parse(&format!("[{},{USERS}]", entries.join(",")));
    assert_eq!(n_of(&state, "users"), Some(5));
    assert_eq!(n_of(&state, "stream_9999"), Some(5));
}

fn json_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z_]{0,8}".prop_map(Value::from),
        Just(json!("STREAM")),
        Just(json!("GLOBAL")),
    ];
    let key = prop_oneof![
        "[a-z]{1,4}".boxed(),
        prop::sample::select(vec![
            "type",
            "stream",
            "global",
            "global_",
            "data",
            "state",
            "stream_descriptor",
            "stream_state",
            "name",
            "stream_states",
            "shared_state",
        ])
        .prop_map(str::to_owned)
        .boxed(),
    ];
    scalar.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in json_value(), cut in any::<prop::sample::Index>()) {
        let text = value.to_string();
        let _ = InputState::parse(&text);
        let end = (0..=cut.index(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let _ = InputState::parse(&text[..end]);
    }

    #[test]
    fn what_is_written_is_read_again(
        streams in prop::collection::btree_map(
            ("[a-z]{1,6}", prop::option::of("[a-z]{0,4}")),
            prop::collection::btree_map("[a-z]{1,5}", json_value(), 1..4),
            0..8,
        ),
    ) {
        let mut expected = InputState::default();
        let mut entries = Vec::new();
        for ((name, namespace), state) in streams {
            let descriptor = StreamDescriptor { name, namespace };
            let state: Map<String, Value> = state.into_iter().collect();
            entries.push(json!({"type": "STREAM", "global_": null,
                "stream": {"stream_descriptor": descriptor, "stream_state": state}}));
            expected.set(descriptor, StreamState(state));
        }
        prop_assert_eq!(InputState::parse(&Value::from(entries.clone()).to_string()).unwrap(), expected.clone());
        let lines: Vec<String> =
            entries.iter().map(|entry| json!({"type": "STATE", "state": entry}).to_string()).collect();
        prop_assert_eq!(InputState::parse(&lines.join("\n")).unwrap(), expected);
    }
}
