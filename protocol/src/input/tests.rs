use std::io::Read;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Input, Line, StateLine};
use crate::message::{StateStats, StateType, StreamStatusType};

/// A reader that gives out a few bytes at a time.
struct Trickle(Vec<u8>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Ok(count)
    }
}

fn lines(text: &str, step: usize) -> Vec<Line> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut input = Input::from_reader(Trickle(text.as_bytes().to_vec(), step));
        let mut lines = Vec::new();
        while let Some(line) = input.next().await.unwrap() {
            lines.push(line);
        }
        lines
    })
}

#[test]
fn lines_are_typed_and_keep_their_text() {
    let text = concat!(
        r#"{"type":"RECORD","record":{"stream":"s","data":{"n": 1.10},"emitted_at":1767225600.5}}"#,
        "\r\n\n",
        r#"{"type":"RECORD","record":{"namespace":null,"stream":"s","data":{},"emitted_at":1767225600500,"meta":{"changes":[]}}}"#,
        "\n",
        r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"}},"sourceStats":{"recordCount":2.0}}}"#,
        "\n",
        r#"{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1,"stream_status":{"stream_descriptor":{"name":"s"},"status":"COMPLETE"}}}"#,
        "\n",
        r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"m"}}}"#,
        "\n",
        r#"{"type":"LOG","log":{"level":"INFO","message":"m"}}"#,
        "\n",
        "plain text\n",
        r#"{"type":"RECORD","record":{"stream":"s"}}"#,
    );
    let lines = lines(text, 1 << 20);
    let [Line::Record(a), Line::Record(b), Line::State(state), Line::Status(status), rest @ ..] =
        &lines[..]
    else {
        panic!("{lines:?}");
    };
    assert_eq!(a.data(), &r#"{"n": 1.10}"#);
    assert_eq!(a.emitted_at_ms(), b.emitted_at_ms());
    assert!(std::sync::Arc::ptr_eq(a.stream(), b.stream()));
    assert_eq!(b.meta().unwrap(), &r#"{"changes":[]}"#);
    assert_eq!((state.kind(), state.record_count()), (&StateType::Stream, Some(2)));
    assert_eq!(state.streams()[0].name, "s");
    assert_eq!((status.stream.name.as_str(), &status.status), ("s", &StreamStatusType::Complete));
    assert!(
        matches!(
            rest,
            [Line::Other(_), Line::Other(_), Line::Invalid { .. }, Line::Invalid { .. }]
        ),
        "{rest:?}"
    );
}

#[test]
fn destination_stats_go_into_the_text_and_nothing_else_changes() {
    let stats = StateStats::new(119, 1);
    let shown = r#""destinationStats":{"recordCount":119.0,"rejectedRecordCount":1.0}"#;
    let state = r#"{"type":"STATE", "state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"},"stream_state":{"n":1.10}},"id":17 },"more":{}}"#;
    let put = StateLine::parse(state).unwrap().with_destination_stats(&stats);
    assert_eq!(put, state.replace("17 }", &format!("17 ,{shown}}}")) + "\n");
    for old in ["null", r#"{"recordCount":1}"#] {
        let state = format!(
            r#"{{"type":"STATE","state":{{"destinationStats": {old} ,"type":"LEGACY","data":{{}}}}}}"#
        );
        let put = StateLine::parse(state.clone()).unwrap().with_destination_stats(&stats);
        let value = shown.split_once(':').unwrap().1;
        assert_eq!(put, state.replace(&format!(": {old} "), &format!(": {value} ")) + "\n");
    }
    assert!(StateLine::parse("{\"type\":\"STATE\"}").is_err());
}

#[test]
fn a_global_state_names_all_its_streams() {
    let text = json!({"type": "STATE", "state": {"type": "GLOBAL", "global": {"stream_states": [
        {"stream_descriptor": {"name": "a"}}, {"stream_descriptor": {"name": "b", "namespace": "n"}}]}}});
    let state = StateLine::parse(text.to_string()).unwrap();
    let names: Vec<String> = state.streams().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "n.b"]);
    let inner: Value = serde_json::from_slice(state.state()).unwrap();
    assert_eq!(inner, text["state"]);
}

proptest! {
    #[test]
    fn however_the_bytes_arrive_the_lines_are_the_same(sizes in prop::collection::vec(0usize..300, 1..20), step in 1usize..200) {
        let line = |(at, size): (usize, &usize)| {
            json!({"type": "RECORD", "record": {"stream": "s", "data": {"n": at, "text": "x".repeat(*size)}, "emitted_at": 1}})
                .to_string()
        };
        let expected: Vec<String> = sizes.iter().enumerate().map(line).collect();
        let read = lines(&expected.join("\n"), step);
        prop_assert_eq!(read.len(), expected.len());
        for (line, expected) in read.iter().zip(&expected) {
            let Line::Record(record) = line else { return Err(TestCaseError::fail("not a record")) };
            prop_assert!(expected.contains(std::str::from_utf8(record.data()).unwrap()));
        }
    }
}

/// A line and what it is, as its fields.
fn described(line: &Line) -> Option<(String, String, i64, bool)> {
    let Line::Record(record) = line else { return None };
    let is_whole = serde_json::from_slice::<Value>(record.data()).is_ok();
    let record = if is_whole { record.clone() } else { record.exact().unwrap() };
    let data = String::from_utf8_lossy(record.data()).into_owned();
    Some((record.stream().to_string(), data, record.emitted_at_ms(), record.meta().is_some()))
}

#[test]
fn records_with_a_known_head_are_the_same_as_when_it_was_new() {
    let texts = [
        r#"{"type":"RECORD","record":{"stream":"s","data":{"a":1},"emitted_at":1767225600500}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","data":{"a":{"emitted_at":5}},"emitted_at":1}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","data":{"a":"},\"emitted_at\":7}}"},"emitted_at":2}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","data": {} , "emitted_at" : 3 } }"#,
        r#"{"type":"RECORD","record":{"stream":"s","data":{"a":1},"emitted_at":4.5}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","data":{"a":1},"emitted_at":4,"meta":{}}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","data":{"data":{}},"meta":{},"emitted_at":4}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","namespace":"n","data":{},"emitted_at":4}}"#,
        r#"{"type":"RECORD","record":{"data":{"a":1},"stream":"s","emitted_at":4}}"#,
        r#"{"record":{"stream":"s","data":{"a":1},"emitted_at":4},"type":"RECORD"}"#,
        r#"{"type":"RECORD","record":{"stream":"x\"data\":","data":{"a":1},"emitted_at":4}}"#,
    ];
    let twice = format!("{0}\n{0}", texts.join("\n"));
    for (at, line) in lines(&twice, 1 << 20).iter().enumerate() {
        let alone = lines(texts[at % texts.len()], 1 << 20);
        assert_eq!(described(line), described(&alone[0]), "{}", texts[at % texts.len()]);
        assert!(described(line).is_some());
    }
}
