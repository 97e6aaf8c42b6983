//! The correct stub source against the stub API, line by line.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use acceptance::stub::api::{Rows, StubApi, Upset};
use acceptance::stub::mutants::{ALL, Connector};
use acceptance::stub::{API_TOKEN, Auth, CLIENT_SECRET, REFRESH_TOKEN, source_config};
use acceptance::transcript::Transcript;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A place with the files of one run.
struct Place {
    dir: TempDir,
    mutant: Option<&'static str>,
}

impl Place {
    fn new(config: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        Self { dir, mutant: None }
    }

    fn of(api: &StubApi) -> Self {
        Self::new(&source_config(&api.url(), Auth::ApiToken))
    }

    fn mutant(mut self, name: &'static str) -> Self {
        self.mutant = Some(name);
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acceptance"));
        command.arg("stub-source").current_dir(self.dir.path());
        command.args(self.mutant.iter().flat_map(|name| ["--mutant", name]));
        command.args(args).env_remove("HTTP_PROXY").env_remove("http_proxy");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn catalog(&self, streams: &[(&str, &str)]) {
        let streams: Vec<Value> = streams
            .iter()
            .map(|(name, mode)| {
                let stream = json!({"name": name, "json_schema": {"type": "object"}});
                json!({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"})
            })
            .collect();
        let text = json!({"streams": streams}).to_string();
        std::fs::write(self.dir.path().join("catalog.json"), text).unwrap();
    }

    fn read(&self, state: Option<&Value>) -> (Transcript, i32) {
        let mut args = vec!["read", "--config=config.json", "--catalog", "catalog.json"];
        if let Some(state) = state {
            std::fs::write(self.dir.path().join("state.json"), state.to_string()).unwrap();
            args.extend(["--state", "state.json"]);
        }
        let output = self.run(&args);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let transcript = Transcript::recorded("read", "read", &output.stdout);
        (transcript, output.status.code().unwrap())
    }
}

const ALL_STREAMS: [(&str, &str); 5] = [
    ("users", "incremental"),
    ("orders", "incremental"),
    ("countries", "full_refresh"),
    ("notes", "full_refresh"),
    ("empty", "full_refresh"),
];

/// The line in short: kind, stream and what matters of it.
fn short(transcript: &Transcript) -> Vec<String> {
    use acceptance::transcript::Body;
    let mut lines: Vec<String> = Vec::new();
    for line in &transcript.lines {
        assert!(line.syntax.is_none() && line.repeated.is_empty(), "{}", line.text());
        let short = match &line.body {
            Body::Record(record) => {
                let text = format!("{} records", record.stream.name);
                match lines.last_mut() {
                    Some(last) if last.ends_with(&text) => {
                        let count: usize = last.split(' ').next().unwrap().parse().unwrap();
                        *last = format!("{} {text}", count + 1);
                        continue;
                    }
                    _ => format!("1 {text}"),
                }
            }
            Body::State(state) => {
                let inner = &state.payload["stream"];
                let name = inner["stream_descriptor"]["name"].as_str().unwrap();
                format!("{name} {} ({})", inner["stream_state"], state.record_count.unwrap())
            }
            Body::Status(status) => format!("{} {}", status.stream.name, status.status),
            Body::Error(error) => format!("error {}", error.failure_type.as_deref().unwrap()),
            _ => line.kind().unwrap().to_owned(),
        };
        lines.push(short);
    }
    lines
}

#[test]
fn a_read_has_all_its_lines_in_order() {
    let api = StubApi::with(Rows { users: 25, orders: 12, countries: 3, notes: 11 }, 99).unwrap();
    let place = Place::of(&api);
    place.catalog(&ALL_STREAMS);
    let (transcript, code) = place.read(None);
    assert_eq!(code, 0);
    assert_eq!(
        short(&transcript),
        [
            "LOG",
            "users STARTED",
            "users RUNNING",
            "10 users records",
            r#"users {"updated_at":"2024-01-01T05:00:00Z"} (10)"#,
            "10 users records",
            r#"users {"updated_at":"2024-01-01T10:00:00Z"} (10)"#,
            "5 users records",
            r#"users {"updated_at":"2024-01-01T12:00:00Z"} (5)"#,
            "users COMPLETE",
            "orders STARTED",
            "orders RUNNING",
            "10 orders records",
            r#"orders {"sequence":1003} (10)"#,
            "2 orders records",
            // The cursor stands where it stood, but the records need a state after them.
            r#"orders {"sequence":1003} (2)"#,
            "orders COMPLETE",
            "countries STARTED",
            "countries RUNNING",
            "3 countries records",
            r#"countries {"__ab_no_cursor_state_message":true} (3)"#,
            "countries COMPLETE",
            "notes STARTED",
            "notes RUNNING",
            "10 notes records",
            r#"notes {"page_token":"p10"} (10)"#,
            "1 notes records",
            r#"notes {"__ab_full_refresh_sync_complete":true} (1)"#,
            "notes COMPLETE",
            "empty STARTED",
            "empty RUNNING",
            r#"empty {"__ab_no_cursor_state_message":true} (0)"#,
            "empty COMPLETE",
        ]
    );
}

#[test]
fn every_checkpoint_is_a_place_to_go_on_from() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    place.catalog(&ALL_STREAMS);
    let (whole, _) = place.read(None);
    let key = |record: &acceptance::transcript::RecordBody| {
        format!("{} {}", record.stream.name, record.data)
    };
    let all: std::collections::BTreeSet<String> = whole.records().map(|(_, r)| key(r)).collect();
    assert_eq!(all.len(), 162);
    for (line, state) in whole.states() {
        let before = whole.records().filter(|(other, _)| other.number < line.number);
        let mut seen: std::collections::BTreeSet<String> = before.map(|(_, r)| key(r)).collect();
        let (rest, code) = place.read(Some(&json!([state.handed_back()])));
        assert_eq!(code, 0);
        seen.extend(rest.records().map(|(_, r)| key(r)));
        assert_eq!(seen, all, "from line {}", line.number);
    }
}

#[test]
fn nothing_new_brings_the_state_again() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    place.catalog(&[("users", "incremental"), ("notes", "full_refresh")]);
    let state = |name: &str, state: Value| json!({"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}});
    let far = json!({"updated_at": "2999-01-01T00:00:00Z"});
    let complete = json!({"__ab_full_refresh_sync_complete": true});
    let states = json!([state("users", far.clone()), state("notes", complete.clone())]);
    let (transcript, code) = place.read(Some(&states));
    assert_eq!((transcript.records().count(), code), (0, 0));
    let last: Vec<Value> =
        transcript.states().map(|(_, s)| s.payload["stream"]["stream_state"].clone()).collect();
    assert_eq!(last, [far, complete]);
}

#[test]
fn faults_are_ridden_out() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    place.catalog(&ALL_STREAMS);
    for upset in [
        Upset::Status(429, Some(1)),
        Upset::Status(429, None),
        Upset::Status(503, None),
        Upset::Html,
        Upset::Cut,
    ] {
        api.upset("/users", upset);
    }
    let (transcript, code) = place.read(None);
    assert_eq!((transcript.records().count(), code), (162, 0));
    let limited = transcript.statuses().filter(|(_, status)| !status.reasons.is_empty()).count();
    assert_eq!(limited, 2);
}

#[test]
fn tokens_are_renewed_and_never_shown() {
    let api = StubApi::with(Rows::default(), 4).unwrap();
    let place = Place::new(&source_config(&api.url(), Auth::OAuth));
    place.catalog(&ALL_STREAMS);
    let (transcript, code) = place.read(None);
    assert_eq!((transcript.records().count(), code), (162, 0));
    let (controls, rest): (Vec<_>, Vec<_>) =
        transcript.lines.iter().partition(|line| line.kind() == Some("CONTROL"));
    assert!(controls.len() > 2);
    assert!(controls[0].text().contains(CLIENT_SECRET));
    for line in rest {
        let text = line.text();
        assert!(!text.contains(REFRESH_TOKEN) && !text.contains("at_"), "{text}");
    }
}

#[test]
fn one_failing_stream_does_not_stop_the_others() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    place.catalog(&[
        ("countries", "full_refresh"),
        ("gone", "incremental"),
        ("notes", "incremental"),
    ]);
    api.upset("/countries", Upset::Status(403, None));
    let (transcript, code) = place.read(None);
    assert_eq!(code, 1);
    let kinds: Vec<_> = transcript.errors().map(|(_, e)| e.failure_type.clone().unwrap()).collect();
    assert_eq!(kinds, ["config_error", "config_error"]);
    assert_eq!(transcript.records().count(), 30);
    for _ in 0..6 {
        api.upset("/notes", Upset::Status(500, None));
    }
    let (transcript, code) = place.read(None);
    assert_eq!(code, 1);
    let last = transcript.errors().last().unwrap().1;
    assert_eq!(last.failure_type.as_deref(), Some("transient_error"));
}

#[test]
fn check_tells_good_credentials_from_bad_ones() {
    let api = StubApi::start().unwrap();
    let check = |config: &Value| {
        let output = Place::new(config).run(&["check", "--config", "config.json"]);
        let transcript = Transcript::recorded("check", "check", &output.stdout);
        let status = transcript.answer("CONNECTION_STATUS").map(|(_, s)| s["status"].clone());
        (status, output.status.code())
    };
    for auth in [Auth::ApiToken, Auth::OAuth] {
        let config = source_config(&api.url(), auth);
        assert_eq!(check(&config), (Some("SUCCEEDED".into()), Some(0)));
    }
    let mut config = source_config(&api.url(), Auth::ApiToken);
    config["credentials"]["api_token"] = "sk_stub_wrong".into();
    assert_eq!(check(&config), (Some("FAILED".into()), Some(0)));
    config["page_size"] = "ten".into();
    assert_eq!(check(&config), (Some("FAILED".into()), Some(0)));
    assert_eq!(check(&json!([])), (None, Some(1)));
}

#[test]
fn spec_and_discover_answer_once() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    let started = Instant::now();
    let output = place.run(&["spec"]);
    assert!(started.elapsed() < Duration::from_secs(2));
    let transcript = Transcript::recorded("spec", "spec", &output.stdout);
    assert_eq!(transcript.answer("SPEC").unwrap().1, &acceptance::stub::source::spec());
    let output = place.run(&["discover", "--config", "config.json", "--debug"]);
    let transcript = Transcript::recorded("discover", "discover", &output.stdout);
    let streams = transcript.answer("CATALOG").unwrap().1["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 5);
}

#[test]
fn misuse_and_broken_files_are_errors() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    for args in [&["read", "--config", "config.json"][..], &["spec", "--nonsense"], &["sing"], &[]]
    {
        assert_eq!(place.run(args).status.code(), Some(2), "{args:?}");
    }
    place.catalog(&[("users", "INVALID")]);
    let (transcript, code) = place.read(None);
    assert!(transcript.error_text().contains("INVALID") && code == 1);
    place.catalog(&ALL_STREAMS);
    let (transcript, code) = place.read(Some(&json!([{"type": "STREAM", "stream": 7}])));
    assert_eq!((transcript.errors().count(), code), (1, 1));
}

#[test]
fn in_the_cloud_private_addresses_are_refused() {
    let api = StubApi::start().unwrap();
    let place = Place::of(&api);
    let args = ["discover", "--config", "config.json"];
    let output = place.command(&args).env("DEPLOYMENT_MODE", "CLOUD").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(api.requests().is_empty());
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let api = StubApi::start().unwrap();
    api.slow_down(Duration::from_millis(20));
    let place = Place::of(&api);
    place.catalog(&ALL_STREAMS);
    let mut child = place
        .command(&["read", "--config", "config.json", "--catalog", "catalog.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert_eq!(output.stderr, b"");
}

#[test]
fn sigterm_ends_it_at_a_whole_line() {
    let api = StubApi::start().unwrap();
    api.slow_down(Duration::from_millis(200));
    let place = Place::of(&api);
    place.catalog(&ALL_STREAMS);
    let child = place
        .command(&["read", "--config", "config.json", "--catalog", "catalog.json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    while api.requests().len() < 3 {
        std::thread::sleep(Duration::from_millis(10));
    }
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let transcript = Transcript::recorded("read", "read", &output.stdout);
    assert!(transcript.is_terminated);
    let users = transcript.statuses().last().unwrap().1;
    assert_eq!((users.stream.name.as_str(), users.status.as_str()), ("users", "INCOMPLETE"));
}

/// The lines of a read without what is different each time.
fn stable(place: &Place) -> (String, Option<i32>, String) {
    let output = place.run(&["read", "--config", "config.json", "--catalog", "catalog.json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| match line.find("\"emitted_at\":") {
            Some(at) => {
                let rest = line[at + 13..].find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
                format!("{}{}", &line[..at], &line[at + 13 + rest..])
            }
            None => line.to_owned(),
        })
        .collect();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (lines.join("\n"), output.status.code(), stderr)
}

#[test]
fn mutants_of_a_plain_read_print_something_else() {
    let api = StubApi::start().unwrap();
    let sound = Place::of(&api);
    sound.catalog(&ALL_STREAMS);
    let expected = stable(&sound);
    assert!(expected.0.contains(r#""stream":"users""#) && !expected.0.contains(API_TOKEN));
    // These show in a plain read; the others need another command, input or surrounding.
    let of_inputs = ["slow-spec", "secret-on-stderr"];
    let groups = [
        "O01", "O02", "O03", "O05", "R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R09",
        "R10", "R11", "R13", "R14", "R15", "I02", "I03", "I06", "I12",
    ];
    let shows = |name: &str, rule: &str| {
        groups.contains(&rule) && name != "pretty-catalog" && !of_inputs.contains(&name)
    };
    let mut count = 0;
    for mutant in ALL.iter().filter(|mutant| mutant.connector == Connector::Source) {
        let name: &'static str = Box::leak(mutant.name().into_boxed_str());
        if !shows(name, mutant.rule.id) {
            continue;
        }
        let place = Place::of(&api).mutant(name);
        place.catalog(&ALL_STREAMS);
        assert_ne!(stable(&place), expected, "{name}");
        count += 1;
    }
    assert!(count > 35, "{count}");
}
