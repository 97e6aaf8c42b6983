//! What holds for the output of every read, however it ends.

use std::collections::BTreeMap;

use airbyte_protocol::{Message, StateType, StreamStatusType, TraceError};

#[derive(Default)]
struct Stream {
    phase: Phase,
    said_running: bool,
    since_state: u64,
    states: u64,
    has_error: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Debug)]
enum Phase {
    #[default]
    New,
    Started,
    Complete,
    Incomplete,
}

/// Checks the order of messages and the counts in states; says what is wrong, one line each.
///
/// STARTED comes first and once, RUNNING before the first record, records only in between, the
/// count of each state is that of the records since the state before, COMPLETE follows a state
/// that covers all records, INCOMPLETE goes with exactly one error of that stream, and nothing
/// follows the end.
pub fn check(messages: &[Message]) -> Vec<String> {
    let mut streams: BTreeMap<String, Stream> = BTreeMap::new();
    let mut findings = Vec::new();
    for message in messages {
        let (name, finding) = match message {
            Message::Record(record) => {
                let stream = streams.entry(record.stream.clone()).or_default();
                (record.stream.clone(), stream.record())
            }
            Message::State(state) => {
                let Some(entry) = &state.stream else {
                    findings.push("a state without a stream".to_owned());
                    continue;
                };
                let stats = state.source_stats.as_ref();
                let count = stats.and_then(|stats| stats.record_count);
                let is_stream = state.kind == Some(StateType::Stream);
                let has_state = entry.stream_state.is_some();
                let name = entry.stream_descriptor.name.clone();
                let stream = streams.entry(name.clone()).or_default();
                (name, stream.state(count, is_stream && has_state))
            }
            Message::Trace(trace) => match (&trace.stream_status, &trace.error) {
                (Some(status), _) => {
                    let name = status.stream_descriptor.name.clone();
                    let stream = streams.entry(name.clone()).or_default();
                    (name, stream.status(&status.status))
                }
                (None, Some(TraceError { stream_descriptor: Some(descriptor), .. })) => {
                    let stream = streams.entry(descriptor.name.clone()).or_default();
                    (descriptor.name.clone(), stream.error())
                }
                _ => continue,
            },
            _ => continue,
        };
        findings.extend(finding.map(|finding| format!("{name}: {finding}")));
    }
    for (name, stream) in &streams {
        let is_stream_of_catalog = stream.phase != Phase::New || !stream.has_error;
        if is_stream_of_catalog && matches!(stream.phase, Phase::New | Phase::Started) {
            findings.push(format!("{name}: it never ended"));
        }
    }
    findings
}

impl Stream {
    fn record(&mut self) -> Option<String> {
        self.since_state += 1;
        match (self.phase, self.said_running) {
            (Phase::Started, true) => None,
            (phase, _) => Some(format!("a record in phase {phase:?}")),
        }
    }

    fn state(&mut self, count: Option<f64>, is_whole: bool) -> Option<String> {
        let expected = std::mem::take(&mut self.since_state) as f64;
        self.states += 1;
        if self.phase != Phase::Started {
            Some(format!("a state in phase {:?}", self.phase))
        } else if count != Some(expected) {
            Some(format!("a state counts {count:?} records in place of {expected}"))
        } else if !is_whole {
            Some("a state is not of type STREAM, or empty".to_owned())
        } else {
            None
        }
    }

    fn status(&mut self, status: &StreamStatusType) -> Option<String> {
        let before = self.phase;
        match (before, status) {
            (Phase::New, StreamStatusType::Started) => self.phase = Phase::Started,
            (Phase::Started, StreamStatusType::Running) => self.said_running = true,
            (Phase::Started, StreamStatusType::Complete) => self.phase = Phase::Complete,
            // A stream that does not exist was never started.
            (Phase::Started | Phase::New, StreamStatusType::Incomplete) => {
                self.phase = Phase::Incomplete;
            }
            _ => return Some(format!("status {status} in phase {before:?}")),
        }
        match self.phase {
            Phase::Complete if self.states == 0 => Some("COMPLETE without a state".to_owned()),
            Phase::Complete if self.since_state > 0 => {
                Some(format!("COMPLETE, {} records after the last state", self.since_state))
            }
            Phase::Complete if !self.said_running => Some("COMPLETE, never RUNNING".to_owned()),
            Phase::Complete if self.has_error => Some("COMPLETE with an error".to_owned()),
            _ => None,
        }
    }

    fn error(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.has_error, true) {
            return Some("more than one error".to_owned());
        }
        (self.phase == Phase::Complete).then(|| "an error after COMPLETE".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(lines: &[&str]) -> Vec<String> {
        let messages: Vec<Message> =
            lines.iter().map(|line| Message::parse(line).unwrap()).collect();
        check(&messages)
    }

    fn status(name: &str) -> String {
        format!(
            r#"{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":1.0,"stream_status":{{"stream_descriptor":{{"name":"s"}},"status":"{name}"}}}}}}"#
        )
    }

    const RECORD: &str =
        r#"{"type":"RECORD","record":{"stream":"s","data":{"id":1},"emitted_at":1767225600020}}"#;

    fn state(count: u64) -> String {
        format!(
            r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"s"}},"stream_state":{{"a":1}}}},"sourceStats":{{"recordCount":{count}.0}}}}}}"#
        )
    }

    #[test]
    fn a_good_read_has_no_findings() {
        let lines = [
            &status("STARTED"),
            &status("RUNNING"),
            RECORD,
            RECORD,
            &state(2),
            RECORD,
            &state(1),
            &status("COMPLETE"),
        ];
        assert_eq!(findings(&lines), Vec::<String>::new());
    }

    #[test]
    fn disorder_is_found() {
        let (started, running, complete) =
            (&status("STARTED"), &status("RUNNING"), &status("COMPLETE"));
        for lines in [
            vec![RECORD, &state(1)],
            vec![started, RECORD, running, &state(1), complete],
            vec![started, running, RECORD, &state(2), complete],
            vec![started, running, complete],
            vec![started, running, &state(0), RECORD, complete],
            vec![started, &state(0), complete],
            vec![started, running, &state(0)],
            vec![started, running, &state(0), complete, &state(0)],
            vec![started, started, running, &state(0), complete],
        ] {
            assert!(!findings(&lines).is_empty(), "{lines:?}");
        }
    }
}
