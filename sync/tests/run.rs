//! `sync run` with sources that behave and sources that do not.

mod support;

use serde_json::{Value, json};
use support::{Place, ids};

#[test]
fn a_plain_read_writes_records_and_state() {
    let place = Place::new(
        json!({"streams": {"numbers": {}, "words": {"namespace": "app", "records": 3}}}),
    );
    let run = place.sync(&[]);
    run.ends_with(0);
    assert_eq!(place.ids("numbers"), ids(0..1000));
    assert_eq!(place.ids("app.words"), ids(0..3));
    assert_eq!(place.state_of("numbers"), json!({"read": 1000}));
    assert_eq!(place.state_of("words"), json!({"read": 3}));
    let rows: Vec<Vec<&str>> =
        run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["stream", "records", "MB", "states", "status"]);
    assert!(rows.contains(&vec!["numbers", "1,000", "0.04", "11", "complete"]), "{}", run.stdout);
    assert!(run.stdout.contains("source: ") && run.stdout.contains("peak memory"));
}

#[test]
fn the_next_read_appends_what_is_new() {
    let place = Place::new(json!({"records": 100}));
    place.sync(&[]).ends_with(0);
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("numbers"), ids(0..100));
    place.configure(json!({"records": 150}));
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("numbers"), ids(0..150));
}

#[test]
fn a_source_that_crashes_anywhere_loses_and_repeats_nothing() {
    for crash_after in [1, 99, 100, 101, 550, 999, 1000] {
        let place = Place::new(json!({"crash_after": crash_after, "cut_line": true}));
        let run = place.sync(&[]);
        run.ends_with(1);
        assert!(run.stderr.contains("killed by signal 9"), "{}", run.stderr);
        assert_eq!(
            place.ids("numbers"),
            ids(0..(crash_after - 1) / 100 * 100),
            "only what a state covers stays"
        );
        place.configure(json!({}));
        place.sync(&[]).ends_with(0);
        assert_eq!(place.ids("numbers"), ids(0..1000), "crash after {crash_after}");
    }
}

#[test]
fn a_crash_in_the_second_stream_keeps_the_first() {
    let streams = json!({"first": {}, "second": {}});
    let place = Place::new(json!({"streams": streams, "crash_after": 1250}));
    place.sync(&[]).ends_with(1);
    assert_eq!(place.ids("first"), ids(0..1000));
    assert_eq!(place.ids("second"), ids(0..200));
    place.configure(json!({"streams": streams}));
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("first"), ids(0..1000));
    assert_eq!(place.ids("second"), ids(0..1000));
}

#[test]
fn sync_itself_may_be_killed() {
    let place = Place::new(json!({"text_bytes": 2000, "state_every": 500, "linger_at": 950}));
    let mut sync = place.start(&[]);
    place.wait_for("the checkpoint", || {
        place.has_state() && place.state_of("numbers") == json!({"read": 500})
    });
    place.wait_for("records behind it", || place.bytes("numbers") > 800 * 2000);
    sync.kill().unwrap();
    sync.wait().unwrap();
    assert!(place.bytes("numbers") > 500 * 2100);
    place.configure(json!({"text_bytes": 2000}));
    let run = place.sync(&[]);
    run.ends_with(0);
    assert!(run.stderr.contains("behind the last checkpoint were cut off"), "{}", run.stderr);
    assert_eq!(place.ids("numbers"), ids(0..1000));
}

#[test]
fn a_signal_is_passed_on_and_the_last_states_are_kept() {
    for (signal, code) in
        [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)]
    {
        let place = Place::new(json!({"linger_at": 250, "state_every": 100}));
        let sync = place.start(&[]);
        place.wait_for("a state", || place.has_state());
        rustix::process::kill_process(rustix::process::Pid::from_child(&sync), signal).unwrap();
        let run = place.end_of(sync);
        run.ends_with(code);
        assert_eq!(
            place.ids("numbers"),
            ids(0..250),
            "the source wrote a last state: {}",
            run.stderr
        );
        assert_eq!(place.state_of("numbers"), json!({"read": 250}));
        place.configure(json!({}));
        place.sync(&[]).ends_with(0);
        assert_eq!(place.ids("numbers"), ids(0..1000));
    }
}

#[test]
fn global_states_cover_all_streams() {
    let streams = json!({"first": {}, "second": {}});
    let place = Place::new(json!({"streams": streams, "global": true, "crash_after": 1250}));
    place.sync(&[]).ends_with(1);
    assert_eq!(place.ids("second"), ids(0..200));
    let state: Value = serde_json::from_str(&place.read("state.json")).unwrap();
    assert_eq!(state.as_array().unwrap().len(), 1);
    assert_eq!(state[0]["global"]["shared_state"], json!({"sent": 1200}));
    place.configure(json!({"streams": streams, "global": true}));
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("first"), ids(0..1000));
    assert_eq!(place.ids("second"), ids(0..1000));
}

#[test]
fn a_failing_stream_fails_the_sync_and_spares_the_others() {
    let place = Place::new(json!({"streams": {"bad": {"fail_after": 150}, "good": {}}}));
    let run = place.sync(&[]);
    run.ends_with(1);
    assert!(run.stderr.contains("stream bad: made to fail (config_error)"), "{}", run.stderr);
    assert!(run.stdout.lines().any(|line| line.starts_with("bad") && line.ends_with("incomplete")));
    assert_eq!(place.ids("good"), ids(0..1000));
    assert_eq!(place.ids("bad"), ids(0..100));
}

#[test]
fn an_exit_code_alone_fails_the_sync() {
    let place = Place::new(json!({"exit_code": 7}));
    let run = place.sync(&[]);
    run.ends_with(1);
    assert!(run.stderr.contains("exit code 7"), "{}", run.stderr);
    assert_eq!(place.ids("numbers"), ids(0..1000));
}

#[test]
fn lines_that_are_no_messages_are_shown_and_counted() {
    let place = Place::new(json!({"noise": true}));
    let run = place.sync(&[]);
    run.ends_with(0);
    assert!(
        run.stderr.contains("source, not a message: INFO: 50 records so far"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("20 lines of the source were no messages"), "{}", run.stdout);
    assert_eq!(place.ids("numbers"), ids(0..1000));
}

#[test]
fn a_new_configuration_reaches_its_file() {
    let place = Place::new(json!({"records": 10, "control": {"records": 20, "token": "new"}}));
    place.sync(&[]).ends_with(0);
    let config: Value = serde_json::from_str(&place.read("config.json")).unwrap();
    assert_eq!(config, json!({"records": 20, "token": "new"}));
}

#[test]
fn broken_records_and_unasked_streams_fail_the_sync() {
    for (trouble, words) in [("unasked", "not asked for"), ("broken_record", "data would be lost")]
    {
        let place = Place::new(json!({trouble: true}));
        let run = place.sync(&[]);
        run.ends_with(1);
        assert!(run.stderr.contains(words), "{}", run.stderr);
        assert_eq!(
            place.state_of("numbers"),
            json!({"read": 1000}),
            "the states before it are kept"
        );
    }
}

#[test]
fn a_full_refresh_stream_is_replaced_when_complete() {
    let full =
        |records: u64| json!({"streams": {"plans": {"full_refresh": true, "records": records}}});
    let place = Place::new(full(5));
    place.sync(&[]).ends_with(0);
    let mut crashing = full(9);
    crashing["crash_after"] = json!(7);
    place.configure(crashing);
    place.sync(&[]).ends_with(1);
    assert_eq!(place.ids("plans"), ids(0..5), "half a read replaces nothing");
    place.configure(full(3));
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("plans"), ids(0..3));
}

#[test]
fn full_refresh_reads_from_the_start_and_the_next_run_goes_on() {
    let place = Place::new(json!({"records": 100}));
    place.sync(&[]).ends_with(0);
    place.configure(json!({"records": 300, "crash_after": 250}));
    place.sync(&["--full-refresh"]).ends_with(1);
    assert_eq!(place.ids("numbers"), ids(0..100));
    place.configure(json!({"records": 300}));
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("numbers"), ids(0..300));
    place.sync(&["--full-refresh"]).ends_with(0);
    assert_eq!(place.ids("numbers"), ids(0..300));
}

#[test]
fn a_source_without_states_is_kept_when_it_succeeds() {
    let place = Place::new(json!({"no_states": true, "records": 10}));
    place.sync(&[]).ends_with(0);
    assert_eq!(place.ids("numbers"), ids(0..10));
}

#[test]
fn streams_and_catalog_choose_what_is_read() {
    let place = Place::new(json!({"records": 5, "streams": {"a": {}, "b": {}, "c": {}}}));
    place.sync(&["--streams", "a,c"]).ends_with(0);
    assert!(
        place.ids("a") == ids(0..5) && place.ids("c") == ids(0..5) && !place.has("out/b.jsonl")
    );
    let run = place.sync(&["--streams", "d"]);
    run.ends_with(2);
    assert!(
        run.stderr.contains("there is no stream `d`; the source has: a, b, c"),
        "{}",
        run.stderr
    );
    place.write(
        "catalog.json",
        r#"{"streams":[{"stream":{"name":"b","json_schema":{"properties":{}},"supported_sync_modes":["full_refresh"]},
        "sync_mode":"full_refresh","destination_sync_mode":"append"}]}"#,
    );
    let catalog = place.path("catalog.json");
    for copies in 1..=2 {
        place.sync(&["--catalog", &catalog]).ends_with(0);
        assert_eq!(place.ids("b").len(), 5 * copies, "append adds a whole copy each time");
    }
}

#[test]
fn mistakes_of_the_user_are_explained() {
    let place = Place::new(json!({}));
    place.write("broken.json", "{");
    place.write("not-executable", "hello");
    let (broken, missing) = (place.path("broken.json"), place.path("missing.json"));
    let not_executable = place.path("not-executable");
    for (args, words) in [
        (["--config", missing.as_str()], "there is no such file"),
        (["--config", broken.as_str()], "not valid JSON"),
        (["--catalog", missing.as_str()], "cannot read the catalog"),
        (["--catalog", broken.as_str()], "is broken"),
        (["--state", broken.as_str()], "move it away to read from the start"),
        (["--source", "/nowhere/source"], "does not exist"),
        (["--source", not_executable.as_str()], "chmod +x"),
        (["--source", "a 'b"], "never closed"),
    ] {
        let run = place.sync(&args);
        run.ends_with(2);
        assert!(run.stderr.contains(words), "{args:?}: {}", run.stderr);
    }
    for (source, words) in
        [("echo hello", "printed no CATALOG"), ("false", "is it an Airbyte connector?")]
    {
        let run = place.sync(&["--source", source]);
        run.ends_with(1);
        assert!(run.stderr.contains(words), "{source}: {}", run.stderr);
    }
}

#[test]
fn two_syncs_do_not_share_a_state_file() {
    let place = Place::new(json!({"linger_at": 250}));
    let mut first = place.start(&[]);
    place.wait_for("a state", || place.has_state());
    let second = place.sync(&[]);
    second.ends_with(2);
    assert!(second.stderr.contains("another sync is using the state file"), "{}", second.stderr);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_destination_gets_records_states_and_statuses() {
    let place = Place::new(json!({"records": 200, "noise": true}));
    place.sync_to_destination(json!({}), &[]).ends_with(0);
    let lines = place.read("destination.jsonl");
    assert_eq!(lines.lines().filter(|line| line.starts_with("{\"id\"")).count(), 200);
    assert!(lines.lines().last().unwrap().contains("COMPLETE"), "{lines}");
    assert_eq!(place.state_of("numbers"), json!({"read": 200}));
    assert!(!place.has("out"));
}

#[test]
fn only_states_that_come_back_are_saved() {
    let place = Place::new(json!({"text_bytes": 5000}));
    let run = place.sync_to_destination(json!({"stop_after": 350}), &[]);
    run.ends_with(1);
    assert!(run.stderr.contains("the destination stopped reading"), "{}", run.stderr);
    assert_eq!(place.state_of("numbers"), json!({"read": 300}));
    let run = place.sync_to_destination(json!({"fail": "disk full"}), &[]);
    run.ends_with(1);
    assert!(run.stderr.contains("error: disk full"), "{}", run.stderr);
}

#[test]
fn a_destination_hears_that_the_source_died() {
    let place = Place::new(json!({"crash_after": 150}));
    place.sync_to_destination(json!({}), &[]).ends_with(1);
    assert!(place.read("destination.jsonl").lines().last().unwrap().contains("INCOMPLETE"));
    assert_eq!(place.state_of("numbers"), json!({"read": 100}));
    place.configure(json!({}));
    place.sync_to_destination(json!({}), &["--full-refresh"]).ends_with(0);
    assert_eq!(place.state_of("numbers"), json!({"read": 1000}));
}
