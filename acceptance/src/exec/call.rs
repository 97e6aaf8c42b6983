//! One command of a connector, with its files and circumstances.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

/// The time after which a run is killed, unless the call says otherwise.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a file on the command line holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A JSON document.
    Json(Value),
    /// These bytes.
    Text(String),
    /// It is named on the command line but is not there.
    Missing,
}

/// Whose habits the run follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Two pipes and a list of arguments.
    #[default]
    Plain,
    /// The platform: `sh -c` around the entrypoint, named pipes in the working folder.
    Platform,
    /// PyAirbyte: other names of files, write protection, an end at the first answer.
    PyAirbyte,
    /// Meltano: stderr stays undrained until the end.
    Meltano,
    /// airbyte-serverless: stderr goes where stdout goes.
    Serverless,
    /// In a process namespace of its own, as PID 1.
    Pid1,
}

/// When and how the suite ends a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A signal once so many lines were read. The pipe is kept short, so that the connector
    /// cannot run far ahead.
    SignalAt(usize, Signal),
    /// The reading end of stdout is closed once so many lines were read.
    CloseAt(usize),
    /// SIGTERM at the first message of this type, as PyAirbyte does.
    AtAnswer(&'static str),
    /// Nothing is read for this long once so many lines were read, and then all of it.
    PauseAt(usize, Duration),
    /// The platform cancels: the pipes are closed, then the wrapper is told. After so many lines.
    CancelAt(usize),
}

/// One command with its files and circumstances.
#[derive(Debug, Clone)]
pub struct Call {
    /// What the run is called in reports.
    pub title: String,
    /// The command; empty for none.
    pub command: String,
    /// Files by the name of their flag: `config`, `catalog`, `state`.
    pub files: Vec<(String, Content)>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Variables beside those of the connector.
    pub environment: Vec<(String, String)>,
    /// Variables that are taken away.
    pub without: Vec<String>,
    /// Whether stdin is a pipe that is written to (`write`), or empty.
    pub has_input: bool,
    /// Whose habits it follows.
    pub mode: Mode,
    /// When it is ended early.
    pub stop: Option<Stop>,
    /// When it is killed.
    pub timeout: Duration,
    /// Whether the suite itself makes it slow, so that its time says nothing of the connector.
    pub is_hindered: bool,
    /// Whether it runs as an arbitrary user (where the suite may do that) in a folder that it
    /// cannot write to.
    pub is_confined: bool,
}

impl Call {
    /// A command without files.
    pub fn new(title: impl Into<String>, command: &str) -> Self {
        Self {
            title: title.into(),
            command: command.to_owned(),
            files: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            without: Vec::new(),
            has_input: false,
            mode: Mode::Plain,
            stop: None,
            timeout: PATIENCE,
            is_hindered: false,
            is_confined: false,
        }
    }

    /// Gives a file; another one of the same flag is replaced.
    pub fn file(mut self, flag: &str, content: Content) -> Self {
        self.files.retain(|(known, _)| known != flag);
        self.files.push((flag.to_owned(), content));
        self
    }

    /// Gives the configuration.
    pub fn config(self, config: &Value) -> Self {
        self.file("config", Content::Json(config.clone()))
    }

    /// Gives the configured catalog.
    pub fn catalog(self, catalog: &Value) -> Self {
        self.file("catalog", Content::Json(catalog.clone()))
    }

    /// Gives the state.
    pub fn state(self, state: &Value) -> Self {
        self.file("state", Content::Json(state.clone()))
    }

    /// Adds an argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Gives stdin a pipe.
    pub fn with_input(mut self) -> Self {
        self.has_input = true;
        self
    }

    /// Follows the habits of a runner.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Ends it early.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Kills it after this time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The suite makes it slow.
    pub fn hindered(mut self) -> Self {
        self.is_hindered = true;
        self
    }

    /// Runs it confined.
    pub fn confined(mut self) -> Self {
        self.is_confined = true;
        self
    }

    /// The content of a file.
    pub fn content(&self, flag: &str) -> Option<&Content> {
        self.files.iter().find(|(known, _)| known == flag).map(|(_, content)| content)
    }
}
