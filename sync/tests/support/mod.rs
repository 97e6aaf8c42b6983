//! A folder with everything that one connection needs, and the programs.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The files of one connection.
pub struct Place(tempfile::TempDir);

/// How a run of sync ended.
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    code: Option<i32>,
}

/// The records' ids that are expected.
pub fn ids(range: Range<u64>) -> Vec<u64> {
    range.collect()
}

/// A program among the crate's examples. `cargo test` builds them with the tests.
fn example(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo test -p sync`, which builds it",
        path.display()
    );
    format!("'{}'", path.display())
}

impl Run {
    pub fn ends_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

impl Place {
    pub fn new(config: Value) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.configure(config);
        place
    }

    pub fn configure(&self, config: Value) {
        self.write("config.json", &config.to_string());
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.path().join(name).exists()
    }

    pub fn has_state(&self) -> bool {
        self.has("state.json")
    }

    /// The ids of a stream's records, in the order of its file.
    pub fn ids(&self, stream: &str) -> Vec<u64> {
        let text = fs::read_to_string(self.file(stream)).unwrap_or_default();
        let id = |line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap();
        text.lines().map(id).collect()
    }

    pub fn bytes(&self, stream: &str) -> u64 {
        fs::metadata(self.file(stream)).map_or(0, |metadata| metadata.len())
    }

    fn file(&self, stream: &str) -> PathBuf {
        self.0.path().join("out").join(format!("{stream}.jsonl"))
    }

    /// The saved state of a stream.
    pub fn state_of(&self, stream: &str) -> Value {
        let states: Vec<Value> = serde_json::from_str(&self.read("state.json")).unwrap();
        let state =
            states.iter().find(|state| state["stream"]["stream_descriptor"]["name"] == stream);
        state.map_or(Value::Null, |state| state["stream"]["stream_state"].clone())
    }

    /// Runs sync with the fake source; later arguments replace the usual ones.
    pub fn sync(&self, args: &[&str]) -> Run {
        self.command(&["--out", &self.path("out")], args).output().unwrap().into()
    }

    /// Runs sync with the fake source and the fake destination.
    pub fn sync_to_destination(&self, mut config: Value, args: &[&str]) -> Run {
        config["file"] = json!(self.path("destination.jsonl"));
        self.write("destination.json", &config.to_string());
        let destination = example("fake_destination");
        let config = self.path("destination.json");
        let usual =
            ["--destination", destination.as_str(), "--destination-config", config.as_str()];
        self.command(&usual, args).output().unwrap().into()
    }

    /// Starts sync with the fake source.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(&["--out", &self.path("out")], args).spawn().unwrap()
    }

    pub fn end_of(&self, sync: Child) -> Run {
        sync.wait_with_output().unwrap().into()
    }

    pub fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_there() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, usual: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sync"));
        let (source, config, state) =
            (example("fake_source"), self.path("config.json"), self.path("state.json"));
        let all = [
            ("--source", source.as_str()),
            ("--config", config.as_str()),
            ("--state", state.as_str()),
        ];
        command.arg("run").args(usual);
        for (flag, value) in all {
            if !args.contains(&flag) {
                command.args([flag, value]);
            }
        }
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
