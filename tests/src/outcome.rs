//! What came of a command.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use airbyte_protocol::{
    Catalog, ConnectionStatus, LogLevel, Message, StateMessage, StreamStatusType, TraceError,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::{sound, state};

/// What a connector printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long it ran.
    pub took: Duration,
    /// Its output as it was printed.
    pub text: String,
    /// What it said on stderr.
    pub stderr: String,
    /// Its output.
    pub messages: Vec<Message>,
}

impl Outcome {
    pub(crate) fn new(
        status: ExitStatus,
        took: Duration,
        text: String,
        stderr: String,
        secrets: &[String],
    ) -> Self {
        for secret in secrets {
            for form in [secret.clone(), BASE64_STANDARD.encode(secret)] {
                // Only these carry the configuration, secrets and all.
                let lines = text.lines().filter(|line| !line.starts_with(r#"{"type":"CONTROL""#));
                let seen = lines.chain(stderr.lines()).find(|line| line.contains(&form));
                assert_eq!(seen, None, "a secret was printed");
            }
        }
        let parse = |line| Message::parse(line).unwrap_or_else(|e| panic!("{e:?}: {line}"));
        let messages = text.lines().map(parse).collect();
        Self { code: status.code(), signal: status.signal(), took, text, stderr, messages }
    }

    /// Asserts that all went well: exit code 0, nothing on stderr, no errors, and what
    /// [`sound::check`] asks for.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        let errors = self.errors();
        assert!(self.code == Some(0) && errors.is_empty(), "{}", self.summary());
        self.sound()
    }

    /// Asserts that it failed as it should: exit code 1, an error, nothing on stderr, and what
    /// [`sound::check`] asks for.
    #[track_caller]
    pub fn failed(self) -> Self {
        assert!(self.code == Some(1) && !self.errors().is_empty(), "{}", self.summary());
        self.sound()
    }

    #[track_caller]
    fn sound(self) -> Self {
        assert_eq!(self.stderr, "", "{}", self.summary());
        let findings = sound::check(&self.messages);
        assert!(findings.is_empty(), "{findings:#?}\n{}", self.summary());
        self
    }

    /// Rows of a stream, in their order.
    pub fn rows(&self, stream: &str) -> Vec<Value> {
        let parse = |text| serde_json::from_str(text).expect("parsed before");
        self.raw_rows(stream).into_iter().map(parse).collect()
    }

    /// Rows of a stream as text.
    pub fn raw_rows(&self, stream: &str) -> Vec<&str> {
        let texts = self.messages.iter().filter_map(|message| match message {
            Message::Record(record) if record.stream == stream => Some(record.data.get()),
            _ => None,
        });
        texts.collect()
    }

    /// The number of rows of all streams.
    pub fn row_count(&self) -> usize {
        self.messages.iter().filter(|message| matches!(message, Message::Record(_))).count()
    }

    /// The state messages, in their order.
    pub fn states(&self) -> impl Iterator<Item = &StateMessage> {
        self.messages.iter().filter_map(|message| match message {
            Message::State(state) => Some(state.as_ref()),
            _ => None,
        })
    }

    /// The last state of each stream.
    pub fn last_states(&self) -> BTreeMap<String, Value> {
        state::by_stream(self.states())
    }

    /// The last state of a stream. Panics if there is none.
    #[track_caller]
    pub fn last_state(&self, stream: &str) -> Value {
        let state = self.last_states().remove(stream);
        state.unwrap_or_else(|| panic!("no state of {stream}\n{}", self.summary()))
    }

    /// The last states as the platform hands them to the next run.
    pub fn state_file(&self) -> String {
        state::platform(&self.last_states())
    }

    /// The errors that were traced.
    pub fn errors(&self) -> Vec<&TraceError> {
        let errors = self.messages.iter().filter_map(|message| match message {
            Message::Trace(trace) => trace.error.as_ref(),
            _ => None,
        });
        errors.collect()
    }

    /// The only error. Panics if there is none or another.
    #[track_caller]
    pub fn error(&self) -> &TraceError {
        match self.errors().as_slice() {
            [error] => error,
            errors => panic!("{} errors\n{}", errors.len(), self.summary()),
        }
    }

    /// The error of a stream. Panics if there is none.
    #[track_caller]
    pub fn error_of(&self, stream: &str) -> &TraceError {
        let is_its = |error: &&TraceError| {
            error.stream_descriptor.as_ref().is_some_and(|descriptor| descriptor.name == stream)
        };
        let found = self.errors().into_iter().find(is_its);
        found.unwrap_or_else(|| panic!("no error of {stream}\n{}", self.summary()))
    }

    /// What was said of where a stream stands, without waits for rate limits.
    pub fn statuses(&self, stream: &str) -> Vec<StreamStatusType> {
        let statuses = self.messages.iter().filter_map(|message| match message {
            Message::Trace(trace) => trace.stream_status.as_ref(),
            _ => None,
        });
        let its = statuses
            .filter(|status| status.stream_descriptor.name == stream && status.reasons.is_empty());
        its.map(|status| status.status.clone()).collect()
    }

    /// Whether a stream was read to its end.
    pub fn is_complete(&self, stream: &str) -> bool {
        self.statuses(stream).last() == Some(&StreamStatusType::Complete)
    }

    /// The texts that were logged at a level.
    pub fn logs(&self, level: LogLevel) -> Vec<&str> {
        let texts = self.messages.iter().filter_map(|message| match message {
            Message::Log(log) if log.level == level => Some(log.message.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The answer of `check`. Panics if there is none.
    #[track_caller]
    pub fn status(&self) -> &ConnectionStatus {
        let status = self.messages.iter().find_map(|message| match message {
            Message::ConnectionStatus(status) => Some(status),
            _ => None,
        });
        status.unwrap_or_else(|| panic!("no connection status\n{}", self.summary()))
    }

    /// The answer of `discover`. Panics if there is none.
    #[track_caller]
    pub fn catalog(&self) -> &Catalog {
        let catalog = self.messages.iter().find_map(|message| match message {
            Message::Catalog(catalog) => Some(catalog),
            _ => None,
        });
        catalog.unwrap_or_else(|| panic!("no catalog\n{}", self.summary()))
    }

    /// The end, and of the output what tells of trouble: for messages of failed assertions.
    pub fn summary(&self) -> String {
        let tells = |line: &&str| {
            let is_status = line.contains("STREAM_STATUS") && !line.contains("INCOMPLETE");
            let others = ["RECORD", "STATE", "CATALOG", "SPEC"];
            let is = |kind: &&str| line.starts_with(&format!(r#"{{"type":"{kind}""#));
            !is_status && !others.iter().any(is)
        };
        let lines: Vec<&str> = self.text.lines().filter(tells).collect();
        let shown = lines[lines.len().saturating_sub(30)..].join("\n");
        let (code, signal) = (self.code, self.signal);
        format!("exit code {code:?}, signal {signal:?}\n{shown}\nstderr: {}", self.stderr)
    }
}
