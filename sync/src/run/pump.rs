//! Reading the source's stdout, line by line.

use std::io::{BufRead, BufReader, Read};

use airbyte_protocol::{LogLevel, Message, StateLine, StateMessage, StreamDescriptor, Trace};

use super::destination::Destination;
use super::{Shared, lock};
use crate::connector;
use crate::error::{Error, Result};
use crate::stats::Status;

const BUFFER_BYTES: usize = 256 * 1024;

/// Lines that are no messages are shown up to this number, and counted beyond.
const SHOWN_NOISE: u64 = 20;

/// Takes the source's messages and puts each where it belongs.
pub(super) struct Pump<'a, 'b> {
    shared: &'a Shared<'a>,
    destination: Option<&'b mut Destination>,
}

impl<'a, 'b> Pump<'a, 'b> {
    pub(super) fn new(shared: &'a Shared<'a>, destination: Option<&'b mut Destination>) -> Self {
        Self { shared, destination }
    }

    /// Reads until the source closes its stdout. After a failure the rest is read and dropped,
    /// so that the source can end.
    pub(super) fn read(&mut self, stdout: impl Read) -> Result<()> {
        let mut stdout = BufReader::with_capacity(BUFFER_BYTES, stdout);
        let mut line = Vec::new();
        let mut result = Ok(());
        loop {
            line.clear();
            let read = stdout
                .read_until(b'\n', &mut line)
                .map_err(|error| Error::run(format!("cannot read from the source: {error}")))?;
            if read == 0 {
                return result;
            }
            if result.is_ok() {
                result = self.line(&line);
                if let Err(error) = &result {
                    self.shared.fail(error.clone());
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let is_whole = line.ends_with(b"\n");
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            return Ok(());
        }
        match Message::parse(text) {
            Ok(message) => self.message(message, text),
            Err(_) if !is_whole => {
                self.shared.progress.say("the source's last line was cut off");
                Ok(())
            }
            Err(error) if is_data(text) => Err(Error::run(format!(
                "the source printed a record or state that cannot be read, so that data would be lost: {}: {}",
                error.message(),
                shortened(text)
            ))),
            Err(_) => {
                self.noise(text);
                Ok(())
            }
        }
    }

    fn message(&mut self, message: Message, text: &str) -> Result<()> {
        match message {
            Message::Record(record) => self.record(&record.descriptor(), record.data.get(), text),
            Message::State(state) => {
                self.check_count(&state);
                self.state(text)
            }
            Message::Trace(trace) => self.trace(*trace, text),
            Message::Log(log) => {
                self.shared.log("source", &log.level, &log.message);
                Ok(())
            }
            Message::Control(control) => match control.config() {
                Some(config) => connector::save_config(config, &self.shared.options.config),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn record(&mut self, stream: &StreamDescriptor, data: &str, text: &str) -> Result<()> {
        {
            let mut stats = lock(&self.shared.stats);
            let stats = stats.stream(stream).ok_or_else(|| unasked(stream))?;
            stats.count_record(data.len() as u64 + 1);
        }
        match &mut self.destination {
            Some(destination) => destination.write(text),
            None => lock(&self.shared.ledger).record(stream, data),
        }
    }

    /// Warns when a state counts other records than those that came before it.
    fn check_count(&self, state: &StateMessage) {
        let stream = state.stream.as_ref().map(|entry| &entry.stream_descriptor);
        let told = state.source_stats.as_ref().and_then(|stats| stats.record_count);
        let counted = lock(&self.shared.stats).miscounted(stream, told);
        if let (Some(counted), Some(told)) = (counted, told) {
            let of = stream.map(|stream| format!(" of {stream}")).unwrap_or_default();
            self.shared
                .progress
                .say(&format!("warning: a state{of} counts {told} records, but {counted} came"));
        }
    }

    fn state(&mut self, text: &str) -> Result<()> {
        match &mut self.destination {
            Some(destination) => {
                destination.write(text)?;
                destination.flush()
            }
            None => self.shared.keep_state(text),
        }
    }

    fn trace(&mut self, trace: Trace, text: &str) -> Result<()> {
        if let Some(error) = trace.error {
            self.shared.connector_error(error);
        }
        let Some(message) = trace.stream_status else { return Ok(()) };
        let Some(status) = Status::of(&message) else { return Ok(()) };
        let stream = &message.stream_descriptor;
        lock(&self.shared.stats).stream(stream).ok_or_else(|| unasked(stream))?.status = status;
        if let Some(destination) = &mut self.destination {
            destination.write(text)?;
            return destination.flush();
        }
        if status == Status::Complete { lock(&self.shared.ledger).complete(stream) } else { Ok(()) }
    }

    fn noise(&self, text: &str) {
        let noise = {
            let mut stats = lock(&self.shared.stats);
            stats.noise += 1;
            stats.noise
        };
        if noise <= SHOWN_NOISE {
            self.shared.progress.say(&format!("source, not a message: {}", shortened(text)));
        }
    }
}

impl Shared<'_> {
    /// Takes a state that covers what was written before it.
    pub(super) fn keep_state(&self, text: &str) -> Result<()> {
        let state =
            StateLine::parse(text.to_owned()).map_err(|error| Error::run(error.message()))?;
        lock(&self.ledger).state(&state)?;
        let mut stats = lock(&self.stats);
        for stream in state.streams() {
            if let Some(stats) = stats.stream(stream) {
                stats.states += 1;
            }
        }
        Ok(())
    }

    /// Shows a line of a connector's log, if it matters enough.
    pub(super) fn log(&self, name: &str, level: &LogLevel, message: &str) {
        let matters = matches!(level, LogLevel::Fatal | LogLevel::Error | LogLevel::Warn);
        if matters || self.options.verbose {
            self.progress.say(&format!("{name}, {}: {message}", level.as_str().to_lowercase()));
        }
    }
}

fn unasked(stream: &StreamDescriptor) -> Error {
    Error::run(format!(
        "the source sent messages of the stream `{stream}`, which it was not asked for"
    ))
}

/// Whether a line that is no message was meant to carry a record or a state.
fn is_data(text: &str) -> bool {
    text.starts_with('{') && (text.contains("\"RECORD\"") || text.contains("\"STATE\""))
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}
