//! Runs the example source as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

pub const READ: &[&str] = &["read", "--config", "config.json", "--catalog", "even.json"];
pub const CHECK: &[&str] = &["check", "--config", "config.json"];

/// A folder with the inputs of a run.
pub struct Fixture {
    folder: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub text: String,
    pub stderr: String,
    pub messages: Vec<Value>,
}

impl Fixture {
    pub fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["even", "odd"] {
            fixture.write(&format!("{name}.json"), &catalog(&[name]));
        }
        fixture.with_config(json!({"api_key": "sesame", "rows": 5}))
    }

    pub fn with_config(&self, config: Value) -> Self
    where
        Self: Sized,
    {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), fixture.folder.path().join(entry.file_name())).unwrap();
        }
        fixture.write("config.json", &config.to_string());
        fixture
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of("source-count", arguments)
    }

    pub fn command_of(&self, example: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(path_of(example));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["LOG_LEVEL", "DEPLOYMENT_MODE", "AIRBYTE_EDITION"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run_misused(arguments);
        assert_eq!(outcome.stderr, "", "{outcome:?}");
        outcome
    }

    pub fn run_misused(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Lets the destination write the lines of `input`.
    pub fn write_all(&self, config: Value, catalog: &str, input: &str) -> Outcome {
        self.write("config.json", &config.to_string());
        self.write("input.jsonl", input);
        let stdin = std::fs::File::open(self.folder.path().join("input.jsonl")).unwrap();
        let arguments = ["write", "--config", "config.json", "--catalog", catalog];
        Outcome::of(self.command_of("destination-count", &arguments).stdin(stdin))
    }

    pub fn check(&self) -> Outcome {
        self.run(CHECK)
    }

    pub fn read(&self, streams: &[&str]) -> Outcome {
        self.write("catalog.json", &catalog(streams));
        self.run(&["read", "--config", "config.json", "--catalog", "catalog.json"])
    }

    /// Sends the signals, one after the other, once a line contains `mark`.
    pub fn signalled(&self, arguments: &[&str], mark: &str, signals: &[&str]) -> Outcome {
        let mut child =
            self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains(mark) {
            assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
        }
        for signal in signals {
            kill(child.id(), signal);
            if signals.len() > 1 {
                wait_until_taken(&child);
            }
        }
        lines.read_to_string(&mut text).unwrap();
        Outcome::new(child, text)
    }
}

impl Outcome {
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        Self::new(child, text)
    }

    fn new(mut child: Child, text: String) -> Self {
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        let messages = text.lines().map(parse).collect();
        Self { code: child.wait().unwrap().code(), text, stderr, messages }
    }

    pub fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.messages.iter().filter(|message| message["type"] == kind).collect()
    }

    /// The TRACE ERRORs.
    pub fn errors(&self) -> Vec<&Value> {
        self.messages
            .iter()
            .map(|message| &message["trace"]["error"])
            .filter(|error| error.is_object())
            .collect()
    }

    /// What was said of a stream, in short.
    pub fn sequence(&self, stream: &str) -> Vec<String> {
        let short = |message: &Value| {
            let (kind, name) = match message["type"].as_str()? {
                "RECORD" => ("RECORD", &message["record"]["stream"]),
                "STATE" => ("STATE", &message["state"]["stream"]["stream_descriptor"]["name"]),
                _ => {
                    let status = &message["trace"]["stream_status"];
                    (status["status"].as_str()?, &status["stream_descriptor"]["name"])
                }
            };
            (name == stream).then(|| kind.to_owned())
        };
        self.messages.iter().filter_map(short).collect()
    }
}

pub fn catalog(streams: &[&str]) -> String {
    let stream = |name: &&str| {
        format!(
            r#"{{"stream":{{"name":"{name}","json_schema":{{"type":"object","properties":{{}}}}}},"sync_mode":"full_refresh","destination_sync_mode":"append"}}"#
        )
    };
    let streams: Vec<String> = streams.iter().map(stream).collect();
    format!(r#"{{"streams":[{}]}}"#, streams.join(","))
}

pub fn kill(process: u32, signal: &str) {
    let status =
        Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Two signals of a kind that are pending at once are one, so the first has to be taken before the
/// second is sent.
fn wait_until_taken(child: &Child) {
    let path = format!("/proc/{}/status", child.id());
    let is_pending = || {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let masks =
            status.lines().filter(|line| line.starts_with("SigPnd") || line.starts_with("ShdPnd"));
        masks
            .filter_map(|line| line.split_whitespace().nth(1))
            .any(|mask| mask.contains(|digit| digit != '0'))
    };
    while is_pending() {
        std::thread::yield_now();
    }
}

/// The executable of an example, which `cargo test` builds beside the tests.
fn path_of(example: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let path = folder.join("examples").join(example);
    assert!(
        path.exists(),
        "{} is missing: run `cargo test -p airbyte-protocol` without --test",
        path.display()
    );
    path
}
