use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::{Captured, Output};
use crate::catalog::StreamDescriptor;
use crate::error::Error;
use crate::message::{LogLevel, Message};
use crate::state::StreamState;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn state(n: u64) -> StreamState {
    StreamState(Map::from_iter([("n".to_owned(), Value::from(n))]))
}

fn users() -> StreamDescriptor {
    StreamDescriptor::new("users")
}

/// The lines in short: `STARTED users`, `RECORD users`, `STATE users 3 {"n":3}`, `ERROR …`.
fn shorts(captured: &Captured) -> Vec<String> {
    captured.messages().iter().map(short).collect()
}

fn short(message: &Message) -> String {
    match message {
        Message::Record(record) => format!("RECORD {}", record.descriptor()),
        Message::State(state) => {
            let entry = state.stream.as_ref().unwrap();
            let count = state.source_stats.as_ref().unwrap().record_count.unwrap();
            let value = serde_json::to_string(&entry.stream_state).unwrap();
            format!("STATE {} {count} {value}", entry.stream_descriptor)
        }
        Message::Trace(trace) => match (&trace.stream_status, &trace.error) {
            (Some(status), _) => {
                let reason = status
                    .reasons
                    .first()
                    .map_or_else(String::new, |reason| format!(" {}", reason.kind));
                format!("{} {}{reason}", status.status, status.stream_descriptor)
            }
            (_, Some(error)) => {
                let stream =
                    error.stream_descriptor.as_ref().map_or_else(String::new, |s| format!(" {s}"));
                format!("ERROR{stream} {}", error.message)
            }
            _ => "TRACE".into(),
        },
        Message::Log(log) => format!("LOG {} {}", log.level, log.message),
        other => other.kind().to_owned(),
    }
}

#[test]
fn a_stream_that_is_read_to_its_end() {
    let (output, captured) = Output::capture();
    block_on(async {
        let stream = output.stream(users());
        stream.started();
        stream.started();
        stream.records(stream.batch()).await;
        for n in 1..=2 {
            let mut batch = stream.batch();
            for _ in 0..n {
                assert!(batch.push(&[b"{\"a\":1}"]));
            }
            stream.records(batch).await;
        }
        stream.state(&state(3)).await;
        stream.complete(&state(4)).await;
        assert_eq!(stream.record_count(), 3);
    });
    assert_eq!(
        shorts(&captured),
        [
            "STARTED users",
            "RUNNING users",
            "RECORD users",
            "RECORD users",
            "RECORD users",
            r#"STATE users 3 {"n":3}"#,
            r#"STATE users 0 {"n":4}"#,
            "COMPLETE users",
        ]
    );
    assert!(captured.lines()[5].contains(r#""sourceStats":{"recordCount":3.0}"#));
    assert!(!output.has_failures());
}

#[test]
fn a_record_line_is_what_the_protocol_wants() {
    let (output, captured) = Output::capture();
    let stream = output.stream(StreamDescriptor::in_namespace("n\"s", "us\u{e9}rs"));
    let mut batch = stream.batch();
    assert!(batch.push(&[b"{\"a\":", b"1}"]) && !batch.push(&[b"{}"]));
    block_on(stream.records(batch));
    let line = &captured.lines()[2];
    let start = r#"{"type":"RECORD","record":{"stream":"usérs","namespace":"n\"s","data":{"a":1},"emitted_at":"#;
    let rest = line.strip_prefix(start).unwrap();
    let emitted_at: u64 = rest.strip_suffix("}}").unwrap().parse().unwrap();
    assert!(emitted_at > 1_700_000_000_000);
}

#[test]
fn an_empty_stream_runs_and_ends_with_a_state() {
    let (output, captured) = Output::capture();
    block_on(output.stream(users()).complete(&StreamState::full_refresh_sentinel()));
    let sentinel = r#"STATE users 0 {"__ab_no_cursor_state_message":true}"#;
    assert_eq!(shorts(&captured), ["STARTED users", "RUNNING users", sentinel, "COMPLETE users"]);
}

#[test]
fn one_cause_is_one_trace() {
    let (output, captured) = Output::capture();
    block_on(async {
        let (a, b) =
            (output.stream(StreamDescriptor::new("a")), output.stream(StreamDescriptor::new("b")));
        a.started();
        let error = Error::config("no access").with_internal("403");
        a.incomplete(&error).await;
        a.incomplete(&error).await;
        b.incomplete(&error).await;
        output.error(&error);
        output.error(&Error::transient("down"));
        output.stream(StreamDescriptor::new("c")).incomplete(&Error::transient("down")).await;
    });
    assert_eq!(
        shorts(&captured),
        [
            "STARTED a",
            "ERROR a no access",
            "INCOMPLETE a",
            "ERROR b no access",
            "INCOMPLETE b",
            "ERROR down",
            "INCOMPLETE c"
        ]
    );
    assert!(output.has_failures());
    assert!(captured.lines()[1].contains(
        r#""internal_message":"403","failure_type":"config_error","stream_descriptor":{"name":"a"}"#
    ));
}

#[test]
fn nothing_follows_the_end_of_a_stream() {
    let (output, captured) = Output::capture();
    block_on(async {
        let stream = output.stream(users());
        stream.complete(&state(1)).await;
        let mut batch = stream.batch();
        batch.push(&[b"{\"a\":1}"]);
        stream.records(batch).await;
        stream.state(&state(2)).await;
        stream.complete(&state(2)).await;
        stream.started();
    });
    let shorts = shorts(&captured);
    assert!(shorts[4..].iter().all(|line| line.starts_with("LOG ERROR")), "{shorts:?}");
    assert!(output.has_failures());
}

#[test]
fn waits_are_announced_for_the_streams_that_run() {
    let (output, captured) = Output::capture();
    block_on(async {
        output.stream(StreamDescriptor::new("a")).started();
        output.stream(StreamDescriptor::new("b")).complete(&state(1)).await;
        let _not_started = output.stream(StreamDescriptor::new("c"));
        output.rate_limited(DateTime::from_timestamp_millis(1_767_225_660_000));
        output.rate_limited(None);
        output.resumed();
    });
    let lines = captured.lines();
    assert_eq!(
        shorts(&captured)[5..],
        ["RUNNING a RATE_LIMITED", "RUNNING a RATE_LIMITED", "RUNNING a"]
    );
    assert!(lines[5].contains(
        r#""reasons":[{"type":"RATE_LIMITED","rate_limited":{"quota_reset":1767225660000}}]"#
    ));
    assert!(lines[6].contains(r#""reasons":[{"type":"RATE_LIMITED"}]"#));
}

#[test]
fn the_heartbeat_repeats_a_state_with_the_right_count() {
    let (output, captured) = Output::capture();
    block_on(async {
        let stream = output.stream(users());
        stream.started();
        assert!(!output.heartbeat());
        stream.state(&state(1)).await;
        let mut batch = stream.batch();
        batch.push(&[b"{\"a\":1}"]);
        stream.records(batch).await;
        assert!(output.heartbeat());
        assert!(output.heartbeat());
        stream.complete(&state(2)).await;
        assert!(!output.heartbeat());
    });
    let states: Vec<String> =
        shorts(&captured).into_iter().filter(|line| line.starts_with("STATE")).collect();
    assert_eq!(
        states,
        [
            r#"STATE users 0 {"n":1}"#,
            r#"STATE users 1 {"n":1}"#,
            r#"STATE users 0 {"n":1}"#,
            r#"STATE users 0 {"n":2}"#
        ]
    );
}

#[test]
fn secrets_are_masked_but_for_records_and_control() {
    let (output, captured) = Output::capture();
    let secret = "canary\"1\u{e9}";
    output.add_secret(secret);
    block_on(async {
        output.log(LogLevel::Info, format_args!("log {secret}"));
        output.error(
            &Error::system(format!("message {secret}")).with_internal(json!(secret).to_string()),
        );
        let stream = output.stream(users());
        let page = json!({"page": format!("?key={secret}")});
        stream.state(&StreamState(page.as_object().unwrap().clone())).await;
        let mut batch = stream.batch();
        batch.push(&[json!({"a": secret}).to_string().as_bytes()]);
        stream.records(batch).await;
        output.control(&json!({"token": secret})).await;
    });
    for message in captured.messages() {
        let says_it = message.to_line().contains("canary");
        assert_eq!(
            says_it,
            matches!(message, Message::Record(_) | Message::Control(_)),
            "{message:?}"
        );
    }
}

#[test]
fn a_secret_that_is_the_name_of_a_stream_does_not_change_the_protocol() {
    let (output, captured) = Output::capture();
    for secret in ["users", "STREAM", "type", "RUNNING", "stream_state"] {
        output.add_secret(secret);
    }
    block_on(output.stream(users()).incomplete(&Error::config("users may not")));
    assert_eq!(shorts(&captured), ["ERROR users **** may not", "INCOMPLETE users"]);
}

#[test]
fn estimates_are_of_the_stream() {
    let (output, captured) = Output::capture();
    output.estimate(&users(), Some(5), None);
    assert!(
        captured.lines()[0]
            .ends_with(r#""estimate":{"name":"users","type":"STREAM","row_estimate":5}}}"#)
    );
}

/// A writer into shared memory that waits for permission before each write.
struct Gated {
    written: Arc<Mutex<Vec<u8>>>,
    gate: Option<mpsc::Receiver<()>>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        // Never all at once, as a pipe may do.
        let count = bytes.len().min(10_000);
        self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whole_lines_whatever_the_tasks_and_counts_that_agree() {
    const TASKS: u64 = 8;
    const BATCHES: u64 = 50;
    let written = Arc::new(Mutex::new(Vec::new()));
    let output = Output::to_writer(Gated { written: Arc::clone(&written), gate: None }, |error| {
        panic!("{error}")
    })
    .unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let output = output.clone();
            tasks.push(tokio::spawn(async move {
                let stream = output.stream(StreamDescriptor::new(format!("s{}", task % 3)));
                for n in 0..BATCHES {
                    let mut batch = stream.batch();
                    for _ in 0..=(n % 7) {
                        batch.push(&[
                            b"{\"text\":\"",
                            "x".repeat((n * 40) as usize).as_bytes(),
                            b"\"}",
                        ]);
                    }
                    stream.records(batch).await;
                    stream.state(&state(n)).await;
                    output.log(LogLevel::Info, "between");
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        output.flush().await;
    });
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let mut since = std::collections::HashMap::<String, f64>::new();
    let mut records = 0;
    for line in text.lines() {
        match Message::parse(line).unwrap() {
            Message::Record(record) => {
                *since.entry(record.stream).or_default() += 1.0;
                records += 1;
            }
            Message::State(state) => {
                let name = state.stream.unwrap().stream_descriptor.name;
                let counted = state.source_stats.unwrap().record_count;
                assert_eq!(counted, Some(since.insert(name, 0.0).unwrap_or(0.0)));
            }
            _ => {}
        }
    }
    let per_task: u64 = (0..BATCHES).map(|n| n % 7 + 1).sum();
    assert_eq!(records, TASKS * per_task);
}

#[test]
fn who_writes_too_fast_waits() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let (open, gate) = mpsc::channel();
    let output =
        Output::to_writer(Gated { written: Arc::clone(&written), gate: Some(gate) }, |_| {})
            .unwrap();
    let mut batches = 0;
    block_on(async {
        let stream = output.stream(users());
        let record = vec![b'x'; 1 << 18];
        loop {
            let mut batch = stream.batch();
            batch.push(&[b"{\"a\":\"", &record, b"\"}"]);
            if tokio::time::timeout(Duration::from_millis(50), stream.records(batch)).await.is_err()
            {
                break;
            }
            batches += 1;
            assert!(batches < 10, "nobody waits");
        }
        drop(open);
        stream.state(&state(1)).await;
        output.flush().await;
    });
    assert!(batches >= 3, "{batches}");
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), batches + 3);
}

#[test]
fn a_control_message_has_left_when_the_call_returns() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let output = Output::to_writer(Gated { written: Arc::clone(&written), gate: None }, |error| {
        panic!("{error}")
    })
    .unwrap();
    block_on(output.control(&json!({"a": 1})));
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert!(text.ends_with("\"connectorConfig\":{\"config\":{\"a\":1}}}}\n"), "{text}");
}

#[test]
fn a_closed_reader_is_told_once() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sent, received) = mpsc::channel();
    let output = Output::to_writer(Closed, move |error| sent.send(error.kind()).unwrap()).unwrap();
    output.log(LogLevel::Info, "one");
    assert_eq!(received.recv_timeout(Duration::from_secs(10)), Ok(io::ErrorKind::BrokenPipe));
}
