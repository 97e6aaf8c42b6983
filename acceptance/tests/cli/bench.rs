//! A folder to call the program in, with the stub API beside it.

use std::path::PathBuf;
use std::process::Command;

use acceptance::stub::api::{Rows, StubApi};
use acceptance::stub::{Auth, source_config};
use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_acceptance");

/// A folder with the configuration of the stub source.
pub struct Bench {
    pub api: StubApi,
    folder: TempDir,
}

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts the exit code, and that these texts stand on stdout, whatever the line breaks.
    #[track_caller]
    pub fn says(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        let printed = in_one_line(&self.stdout);
        for text in texts {
            assert!(printed.contains(text), "{text:?} is not in\n{}", self.stdout);
        }
    }

    /// Asserts exit code 2, nothing on stdout, and that these texts stand on stderr.
    #[track_caller]
    pub fn refuses(&self, texts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (2, ""), "{self:?}");
        let printed = in_one_line(&self.stderr);
        for text in texts {
            assert!(printed.contains(text), "{text:?} is not in\n{}", self.stderr);
        }
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Bench {
    pub fn new() -> Self {
        let rows = Rows { users: 25, orders: 22, countries: 5, notes: 12 };
        let bench = Self {
            api: StubApi::with(rows, 10_000).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let config = source_config(&bench.api.url(), Auth::ApiToken);
        bench.write("config.json", &config.to_string());
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command line of the stub source, or of a mutant of it.
    pub fn stub(mutant: Option<&str>) -> String {
        let mutant = mutant.map(|name| format!(" --mutant {name}")).unwrap_or_default();
        format!("{PROGRAM} stub-source{mutant}")
    }

    /// Calls the program in the folder.
    pub fn call(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.folder.path());
        for name in ["HTTP_PROXY", "http_proxy", "LOG_LEVEL"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `acceptance run` of the stub with its configuration.
    pub fn run(&self, mutant: Option<&str>, arguments: &[&str]) -> Outcome {
        let stub = Self::stub(mutant);
        let mut all = vec!["run", "--executable", &stub, "--config", "config.json"];
        all.extend(arguments);
        self.call(&all)
    }

    /// The output of a command of the stub, as a file of this name.
    pub fn record(&self, name: &str, mutant: Option<&str>, arguments: &[&str]) {
        let mut all = vec!["stub-source"];
        all.extend(mutant.iter().flat_map(|name| ["--mutant", name]));
        all.extend(arguments);
        let outcome = self.call(&all);
        assert_eq!(outcome.stderr, "");
        self.write(name, &outcome.stdout);
    }
}
