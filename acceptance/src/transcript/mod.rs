//! What one run of a connector printed, line by line, and how it ended.

mod line;
mod strict;

use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use serde_json::Value;

pub use line::{Body, Line, RecordBody, StateBody, StatusBody, TraceErrorBody};
pub(crate) use line::{descriptor, payload_key};
pub use strict::{Strict, parse as parse_strictly};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Not within its time; it was killed.
    TimedOut,
    /// Not known: the output was recorded elsewhere.
    Unknown,
}

impl Exit {
    /// Whether it is exit code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("no end within its time"),
            Self::Unknown => f.write_str("unknown end"),
        }
    }
}

/// What a process used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// The largest resident set, in bytes; 0 where it is not known.
    pub peak_rss: u64,
    /// CPU time of the process.
    pub cpu: Duration,
    /// Time from start to end.
    pub wall: Duration,
    /// Time from start to the first line; `None` when there was none.
    pub first_line: Option<Duration>,
    /// Time from start to the first record; `None` when there was none.
    pub first_record: Option<Duration>,
}

/// What one run of a connector printed and how it ended.
#[derive(Debug)]
pub struct Transcript {
    /// What the run is called in reports, such as `read (full refresh)`.
    pub title: String,
    /// The command: spec, check, discover, read or write.
    pub command: String,
    /// The lines of stdout.
    pub lines: Vec<Line>,
    /// Whether stdout ended with a newline (or was empty).
    pub is_terminated: bool,
    /// What stands on stderr, bytes that are no UTF-8 replaced.
    pub stderr: String,
    /// How it ended.
    pub exit: Exit,
    /// What it used.
    pub usage: Usage,
    /// When it was started, in milliseconds since the epoch; 0 when not known.
    pub started_at: i64,
    /// When the suite ended it early, by a signal or a closed pipe: the time since its start.
    pub interrupted_at: Option<Duration>,
    /// Whether processes that it had started were still there after its end.
    pub left_behind: bool,
}

impl Transcript {
    /// A transcript of recorded output.
    pub fn recorded(title: &str, command: &str, stdout: &[u8]) -> Self {
        let mut transcript = Self {
            title: title.to_owned(),
            command: command.to_owned(),
            lines: Vec::new(),
            is_terminated: true,
            stderr: String::new(),
            exit: Exit::Unknown,
            usage: Usage::default(),
            started_at: 0,
            interrupted_at: None,
            left_behind: false,
        };
        transcript.push_all(stdout);
        transcript
    }

    /// Adds lines, all of them at time 0.
    fn push_all(&mut self, stdout: &[u8]) {
        let text = stdout.strip_suffix(b"\n");
        self.is_terminated = text.is_some() || stdout.is_empty();
        let text = text.unwrap_or(stdout);
        if stdout.is_empty() {
            return;
        }
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            self.lines.push(Line::read(at + 1, line.to_vec(), Duration::ZERO));
        }
    }

    /// Whether the suite ended it early.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted_at.is_some()
    }

    /// How long it went on after the suite had ended it.
    pub fn went_on(&self) -> Duration {
        self.usage.wall.saturating_sub(self.interrupted_at.unwrap_or(self.usage.wall))
    }

    /// The records, with their lines.
    pub fn records(&self) -> impl Iterator<Item = (&Line, &RecordBody)> {
        self.lines.iter().filter_map(|line| match &line.body {
            Body::Record(record) => Some((line, record)),
            _ => None,
        })
    }

    /// The states, with their lines.
    pub fn states(&self) -> impl Iterator<Item = (&Line, &StateBody)> {
        self.lines.iter().filter_map(|line| match &line.body {
            Body::State(state) => Some((line, state)),
            _ => None,
        })
    }

    /// The stream statuses, with their lines.
    pub fn statuses(&self) -> impl Iterator<Item = (&Line, &StatusBody)> {
        self.lines.iter().filter_map(|line| match &line.body {
            Body::Status(status) => Some((line, status)),
            _ => None,
        })
    }

    /// The error traces, with their lines.
    pub fn errors(&self) -> impl Iterator<Item = (&Line, &TraceErrorBody)> {
        self.lines.iter().filter_map(|line| match &line.body {
            Body::Error(error) => Some((line, error)),
            _ => None,
        })
    }

    /// Payloads of messages of a type, with their lines.
    pub fn payloads(&self, kind: &str) -> impl Iterator<Item = (&Line, &Value)> {
        self.lines.iter().filter_map(move |line| {
            if line.kind() != Some(kind) {
                return None;
            }
            match &line.body {
                Body::Other { payload, .. } => Some((line, payload)),
                _ => None,
            }
        })
    }

    /// The only SPEC, CATALOG or CONNECTION_STATUS, when there is exactly one.
    pub fn answer(&self, kind: &str) -> Option<(&Line, &Value)> {
        let mut answers = self.payloads(kind);
        let first = answers.next();
        if answers.next().is_some() { None } else { first }
    }

    /// Whether the run says loudly that it failed: an error trace, and no exit code 0.
    pub fn failed_loudly(&self) -> bool {
        self.errors().next().is_some() && !self.exit.is_success()
    }

    /// The error messages, for reports.
    pub fn error_text(&self) -> String {
        let messages: Vec<&str> =
            self.errors().map(|(_, error)| error.message.as_deref().unwrap_or("?")).collect();
        if !messages.is_empty() {
            // On one line, whatever they are made of.
            let words = messages.join("; ");
            return words.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let lines: Vec<&str> = self.stderr.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    /// The last status of a stream.
    pub fn last_status(&self, stream: &StreamDescriptor) -> Option<&str> {
        let statuses = self.statuses().filter(|(_, status)| &status.stream == stream);
        statuses.last().map(|(_, status)| status.status.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_output_is_taken_apart() {
        let text = concat!(
            r#"{"type":"RECORD","record":{"stream":"a","data":{"id":1},"emitted_at":1767225600020}}"#,
            "\nnonsense\n",
            r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"x":1}},"sourceStats":{"recordCount":1.0}}}"#,
        );
        let transcript = Transcript::recorded("read", "read", text.as_bytes());
        assert!(!transcript.is_terminated);
        assert_eq!(transcript.lines.len(), 3);
        assert_eq!(transcript.records().count(), 1);
        assert!(matches!(transcript.lines[1].body, Body::Nothing));
        let (line, state) = transcript.states().next().unwrap();
        assert_eq!((line.number, state.record_count), (3, Some(1.0)));
    }

    #[test]
    fn no_output_has_no_lines() {
        let transcript = Transcript::recorded("read", "read", b"");
        assert!(transcript.lines.is_empty() && transcript.is_terminated);
    }
}
