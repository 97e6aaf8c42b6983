//! The command line as a process: exit codes, signals, closed pipes, bad inputs. The connectors are
//! `examples/source-count.rs` and `examples/destination-count.rs`.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Fixture, Outcome};

#[test]
fn spec_is_one_line_and_needs_nothing() {
    let outcome = Fixture::new().run(&["spec"]);
    let [spec] = outcome.messages.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(outcome.code, Some(0));
    assert_eq!(spec["type"], "SPEC");
    assert_eq!(spec["spec"]["protocol_version"], "0.18.0");
    assert_eq!(
        spec["spec"]["connectionSpecification"]["properties"]["api_key"]["airbyte_secret"],
        true
    );
}

#[test]
fn check_tells_the_three_outcomes_apart() {
    let fixture = Fixture::new();
    let status = |config: Value| {
        let outcome = fixture.with_config(config).check();
        let [message] = outcome.messages.as_slice() else { panic!("{outcome:?}") };
        (outcome.code, message.clone())
    };
    let (code, message) = status(json!({"api_key": "sesame"}));
    assert_eq!((code, &message["connectionStatus"]["status"]), (Some(0), &json!("SUCCEEDED")));

    let (code, message) = status(json!({"rows": 5}));
    let text = "Config validation error: /api_key is required and missing";
    assert_eq!(code, Some(0));
    assert_eq!(message["connectionStatus"], json!({"status": "FAILED", "message": text}));

    let (code, message) = status(json!({"api_key": "sesame", "fault": "outage"}));
    assert_eq!(code, Some(1));
    assert_eq!(message["trace"]["error"]["failure_type"], "transient_error");
}

#[test]
fn a_refused_key_is_a_failed_check_that_does_not_show_it() {
    let outcome =
        Fixture::new().with_config(json!({"api_key": "canary-\"key\"", "fault": "leak"})).check();
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.of_type("CONNECTION_STATUS")[0]["connectionStatus"],
        json!({"status": "FAILED", "message": "The key `****` does not open the door"})
    );
    let logs: Vec<&Value> =
        outcome.of_type("LOG").into_iter().map(|log| &log["log"]["message"]).collect();
    assert_eq!(logs, ["knocking key=****", "key=****"]);
    assert!(!outcome.text.contains("canary"));
}

#[test]
fn discover_prints_one_catalog() {
    let outcome = Fixture::new().run(&["discover", "--config=config.json", "--debug"]);
    assert_eq!(outcome.code, Some(0));
    let names: Vec<&Value> = outcome.of_type("CATALOG")[0]["catalog"]["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| &stream["name"])
        .collect();
    assert_eq!(names, ["even", "odd"]);
    let invalid =
        Fixture::new().with_config(json!({})).run(&["discover", "--config", "config.json"]);
    assert_eq!((invalid.code, invalid.errors().len()), (Some(1), 1));
}

#[test]
fn read_keeps_the_order_of_things() {
    let outcome = Fixture::new().read(&["even"]);
    assert_eq!(outcome.code, Some(0));
    let expected = [
        "STARTED", "RUNNING", "RECORD", "RECORD", "RECORD", "RECORD", "RECORD", "STATE", "STATE",
        "COMPLETE",
    ];
    assert_eq!(outcome.sequence("even"), expected);
}

#[test]
fn a_second_read_goes_on_from_the_state() {
    let fixture = Fixture::new();
    let last = fixture.read(&["odd"]).of_type("STATE").last().unwrap()["state"].clone();
    fixture.write("state.json", &json!([last]).to_string());
    let outcome =
        fixture.run(&["read", "--config=config.json", "--catalog=odd.json", "--state=state.json"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(outcome.sequence("odd"), ["STARTED", "RUNNING", "STATE", "COMPLETE"]);
    assert_eq!(outcome.of_type("STATE")[0]["state"]["stream"]["stream_state"], json!({"n": 5}));
}

#[test]
fn one_stream_that_fails_does_not_stop_the_others() {
    let fixture = Fixture::new();
    for (fault, streams) in [("odd_stream", ["odd", "even"]), ("none", ["mystery", "even"])] {
        let outcome = fixture
            .with_config(json!({"api_key": "sesame", "rows": 2, "fault": fault}))
            .read(&streams);
        assert_eq!(outcome.code, Some(1));
        let errors = outcome.errors();
        assert_eq!(errors.len(), 1, "{outcome:?}");
        assert_eq!(errors[0]["failure_type"], "config_error");
        assert_eq!(errors[0]["stream_descriptor"]["name"], streams[0]);
        assert_eq!(outcome.sequence(streams[0]).last().unwrap(), "INCOMPLETE");
        assert_eq!(outcome.sequence("even").last().unwrap(), "COMPLETE");
    }
}

#[test]
fn a_source_that_forgets_its_streams_does_not_succeed() {
    let outcome = Fixture::new()
        .with_config(json!({"api_key": "sesame", "fault": "idle"}))
        .read(&["even", "odd"]);
    assert_eq!(outcome.code, Some(1));
    let named: Vec<&Value> =
        outcome.errors().iter().map(|error| &error["stream_descriptor"]["name"]).collect();
    assert_eq!(named, ["even", "odd"]);
}

#[test]
fn an_error_of_the_whole_read_is_one_trace() {
    let outcome =
        Fixture::new().with_config(json!({"api_key": "sesame", "fault": "outage"})).read(&["even"]);
    assert_eq!((outcome.code, outcome.messages.len()), (Some(1), 1));
    assert_eq!(outcome.errors()[0]["failure_type"], "transient_error");
}

#[test]
fn bad_files_are_told_with_their_names() {
    let fixture = Fixture::new();
    fixture.write("broken.json", "{\"api_key\":\n \"canary-1\" x}");
    fixture.write("list.json", "[]");
    fixture.write(
        "odd_mode.json",
        &support::catalog(&["even"]).replace("full_refresh\",\"dest", "sideways\",\"dest"),
    );
    fixture.write("bad_state.json", r#"{"even": 4}"#);
    let read = |config: &str, catalog: &str, state: &str| {
        let outcome =
            fixture.run(&["read", "--config", config, "--catalog", catalog, "--state", state]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.messages.len(), 1, "{outcome:?}");
        assert!(!outcome.text.contains("canary"));
        let error = &outcome.errors()[0];
        assert_eq!(error["failure_type"], "config_error");
        error["message"].as_str().unwrap().to_owned()
    };
    for (config, catalog, state, parts) in [
        ("absent.json", "even.json", "list.json", ["absent.json", "No such file"]),
        ("broken.json", "even.json", "list.json", ["broken.json", "line 2 column"]),
        ("list.json", "even.json", "list.json", ["list.json", "JSON object"]),
        ("config.json", "absent.json", "list.json", ["catalog file", "absent.json"]),
        ("config.json", "broken.json", "list.json", ["catalog", "line 2 column"]),
        ("config.json", "list.json", "list.json", ["catalog", "JSON object"]),
        ("config.json", "odd_mode.json", "list.json", ["`even`", "`sideways`"]),
        ("config.json", "even.json", "absent.json", ["state file", "absent.json"]),
        ("config.json", "even.json", "broken.json", ["state file", "line 2 column"]),
        ("config.json", "even.json", "bad_state.json", ["`even`", "state"]),
    ] {
        let message = read(config, catalog, state);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn a_check_with_an_unreadable_file_is_an_error_and_no_status() {
    let fixture = Fixture::new();
    fixture.write("config.json", "nonsense");
    let outcome = fixture.check();
    assert_eq!((outcome.code, outcome.messages.len(), outcome.errors().len()), (Some(1), 1, 1));
}

#[test]
fn misuse_is_told_on_both_sides() {
    let fixture = Fixture::new();
    for arguments in [
        &["read"][..],
        &[],
        &["frob"],
        &["check"],
        &["spec", "--frob"],
        &["write", "--config", "c"],
    ] {
        let outcome = fixture.run_misused(arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert_eq!(outcome.errors()[0]["failure_type"], "config_error");
        assert!(outcome.stderr.contains("Usage"), "{outcome:?}");
    }
}

#[test]
fn a_panic_in_a_task_is_one_trace() {
    let outcome =
        Fixture::new().with_config(json!({"api_key": "sesame", "fault": "panic"})).read(&["even"]);
    assert_eq!((outcome.code, outcome.messages.len()), (Some(1), 1));
    let error = &outcome.errors()[0];
    assert_eq!(error["failure_type"], "system_error");
    let internal = error["internal_message"].as_str().unwrap();
    assert!(internal.contains("the hinge broke near ****"), "{internal}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let fixture = Fixture::new().with_config(json!({"api_key": "sesame", "rows": 10_000_000}));
    for (arguments, code) in [(support::READ, 141), (&["spec"][..], 0), (support::CHECK, 0)] {
        let mut child = fixture
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if arguments == support::READ {
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        } else {
            drop(child.stdout.take());
        }
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
        assert_eq!(stderr, "");
    }
}

#[test]
fn a_signal_lets_a_read_end_in_order() {
    let fixture =
        Fixture::new().with_config(json!({"api_key": "sesame", "rows": 2, "fault": "wait"}));
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let outcome = fixture.signalled(support::READ, "\"STATE\"", &[signal]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let expected = ["STARTED", "RUNNING", "RECORD", "RECORD", "STATE", "INCOMPLETE"];
        assert_eq!(outcome.sequence("even"), expected);
        let errors = outcome.errors();
        assert_eq!((errors.len(), &errors[0]["failure_type"]), (1, &json!("transient_error")));
        assert!(errors[0]["message"].as_str().unwrap().contains(signal));
    }
}

#[test]
fn a_second_signal_ends_a_read_at_once() {
    let fixture =
        Fixture::new().with_config(json!({"api_key": "sesame", "rows": 2, "fault": "hang"}));
    let begin = Instant::now();
    let outcome = fixture.signalled(support::READ, "\"STATE\"", &["TERM", "INT"]);
    // Which of the two is seen second is not certain; that there is no grace left then is.
    assert!(matches!(outcome.code, Some(130 | 143)), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[test]
fn a_signal_kills_a_check_as_it_would_any_process() {
    let fixture = Fixture::new()
        .with_config(json!({"api_key": "sesame", "fault": "hang", "_in_check": true}));
    let mut child = fixture.command(support::CHECK).stdout(Stdio::null()).spawn().unwrap();
    // The handler is in place or it is not: the process dies of the signal either way.
    support::kill(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn the_log_is_as_loud_as_it_is_asked_to_be() {
    let fixture = Fixture::new().with_config(json!({"api_key": "sesame", "fault": "leak"}));
    let quiet = Outcome::of(fixture.command(support::CHECK).env("LOG_LEVEL", "warn"));
    assert!(quiet.of_type("LOG").is_empty());
    let usual = Outcome::of(fixture.command(support::CHECK).env("LOG_LEVEL", "INFO"));
    assert_eq!(usual.of_type("LOG").len(), 1);
}

#[test]
fn a_destination_gives_states_back_as_they_came() {
    let record =
        r#"{"type":"RECORD","record":{"stream":"even","data":{"n":1},"emitted_at":1767225600}}"#;
    let state = r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"even"}, "x":1.10},"id":7}}"#;
    let input = format!(
        "{record}\n{record}\n{record}\nplain text\n{}\n{state}\n{state}\n",
        r#"{"type":"LOG","log":{"level":"INFO","message":"m"}}"#
    );
    let outcome = Fixture::new().write_all(json!({"limit": 2}), "even.json", &input);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    let states: Vec<&str> = outcome.text.lines().filter(|line| line.contains("STATE")).collect();
    let with = |stats: &str| {
        state.replace("\"id\":7}", &format!("\"id\":7,\"destinationStats\":{stats}}}"))
    };
    let first = with(r#"{"recordCount":2.0,"rejectedRecordCount":1.0}"#);
    assert_eq!(states, [first, with(r#"{"recordCount":0.0}"#)]);
    let logs = outcome.of_type("LOG");
    assert_eq!(logs.last().unwrap()["log"]["message"], "counted 3 records");
}

#[test]
fn a_record_of_an_unknown_stream_fails_a_destination() {
    let input = r#"{"type":"RECORD","record":{"stream":"even","data":{"n":1},"emitted_at":1}}"#;
    let outcome = Fixture::new().write_all(json!({}), "odd.json", input);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.errors()[0]["stream_descriptor"]["name"], "even");
}

#[test]
fn a_destination_that_nobody_listens_to_does_not_finish() {
    let fixture = Fixture::new();
    let arguments = ["write", "--config", "config.json", "--catalog", "even.json"];
    let mut child = fixture
        .command_of("destination-count", &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(141));
}
