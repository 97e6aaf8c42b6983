//! The destination's two pipes: what it is given, and the states that it gives back.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::ChildStdin;
use std::time::{SystemTime, UNIX_EPOCH};

use airbyte_protocol::{Message, StreamDescriptor};
use serde_json::json;

use super::{Shared, lock};
use crate::connector;
use crate::error::{Error, Result};
use crate::stats::Status;

/// The destination's stdin. Writing waits while the destination is busy, which makes the source
/// wait in its turn.
pub(super) struct Destination {
    stdin: BufWriter<ChildStdin>,
}

impl Destination {
    pub(super) fn new(stdin: ChildStdin) -> Self {
        Self { stdin: BufWriter::with_capacity(64 * 1024, stdin) }
    }

    /// Passes a line on.
    pub(super) fn write(&mut self, line: &str) -> Result<()> {
        self.stdin
            .write_all(line.as_bytes())
            .and_then(|()| self.stdin.write_all(b"\n"))
            .map_err(|e| ended(&e))
    }

    /// Makes sure that the destination has all that was passed on.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.stdin.flush().map_err(|error| ended(&error))
    }

    /// Tells the destination how each stream ended, where the source has not done so, and closes.
    pub(super) fn close(mut self, shared: &Shared<'_>, source_ok: bool) {
        let status = if source_ok { "COMPLETE" } else { "INCOMPLETE" };
        let open: Vec<StreamDescriptor> = lock(&shared.stats)
            .streams
            .iter()
            .filter(|stream| !matches!(stream.status, Status::Complete | Status::Incomplete))
            .map(|stream| stream.stream.clone())
            .collect();
        let told = open.iter().try_for_each(|stream| self.write(&status_line(stream, status)));
        if let Err(error) = told.and_then(|()| self.flush())
            && !shared.has_failed()
        {
            shared.fail(error);
        }
    }
}

fn status_line(stream: &StreamDescriptor, status: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let status = json!({"stream_descriptor": stream, "status": status});
    json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": now, "stream_status": status}}).to_string()
}

fn ended(error: &std::io::Error) -> Error {
    Error::run(match error.kind() {
        std::io::ErrorKind::BrokenPipe => {
            "the destination stopped reading before everything was written".to_owned()
        }
        _ => format!("cannot write to the destination: {error}"),
    })
}

/// Takes what the destination prints. Only the states that come back are saved.
pub(super) fn read_answers(shared: &Shared<'_>, stdout: impl Read) {
    for line in BufReader::new(stdout).split(b'\n') {
        let taken = line
            .map_err(|error| Error::run(format!("cannot read from the destination: {error}")))
            .and_then(|line| take(shared, &String::from_utf8_lossy(&line)));
        if let Err(error) = taken {
            shared.fail(error);
        }
    }
}

fn take(shared: &Shared<'_>, line: &str) -> Result<()> {
    match Message::parse(line) {
        Ok(Message::State(_)) => shared.keep_state(line),
        Ok(Message::Log(log)) => {
            shared.log("destination", &log.level, &log.message);
            Ok(())
        }
        Ok(Message::Trace(trace)) => {
            if let Some(error) = trace.error {
                shared.connector_error(error);
            }
            Ok(())
        }
        Ok(Message::Control(control)) => {
            match (control.config(), &shared.options.destination_config) {
                (Some(config), Some(path)) => connector::save_config(config, path),
                _ => Ok(()),
            }
        }
        Ok(_) => Ok(()),
        Err(_) => {
            if !line.trim().is_empty() {
                shared.progress.say(&format!("destination: {}", line.trim_end()));
            }
            Ok(())
        }
    }
}
