//! The lines of a destination's input, with their text kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::catalog::StreamDescriptor;
use crate::error::{Error, Result};
use crate::message::{
    Envelope, RecordHead, StateMessage, StateStats, StateType, StreamStatusType, Trace,
    emitted_at_ms,
};

/// One line of input.
#[derive(Debug, Clone)]
pub enum Line {
    /// A record.
    Record(RecordLine),
    /// A checkpoint, to be given back once everything before it is durable.
    State(StateLine),
    /// Where the source stands with a stream.
    Status(StatusLine),
    /// A message that is nothing to a destination, such as a log line of the source.
    Other(Bytes),
    /// Not a message.
    Invalid {
        /// The line.
        raw: Bytes,
        /// What is wrong with it.
        reason: String,
    },
}

/// A record whose data is still the text that came in.
#[derive(Debug, Clone)]
pub struct RecordLine {
    raw: Bytes,
    stream: Arc<StreamDescriptor>,
    data: Bytes,
    emitted_at_ms: i64,
    meta: Option<Bytes>,
}

impl RecordLine {
    pub(super) fn of(
        raw: &Bytes,
        stream: Arc<StreamDescriptor>,
        head: &RecordHead<'_>,
    ) -> Result<Self, String> {
        let slice = |part: &RawValue| raw.slice_ref(part.get().as_bytes());
        Ok(Self {
            raw: raw.clone(),
            stream,
            data: slice(head.data.ok_or("the record has no `data`")?),
            emitted_at_ms: head.emitted_at.as_ref().map_or(0, emitted_at_ms),
            meta: head.meta.map(slice),
        })
    }

    /// A record whose line begins like another one of the stream, up to the data, and ends with
    /// nothing but the time of emission behind them. What lies between is not looked at.
    pub(super) fn with_known_head(
        raw: &Bytes,
        head: usize,
        stream: &Arc<StreamDescriptor>,
    ) -> Option<Self> {
        let rest = raw[head..].trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
        let rest = rest.strip_suffix(b"}")?.trim_ascii_end();
        let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (rest, digits) = rest.split_at(rest.len() - digits);
        let rest = rest.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
        let rest = rest.strip_suffix(b"\"emitted_at\"")?.trim_ascii_end();
        let data = rest.strip_suffix(b",")?.trim_ascii();
        // Data that is no object would need a closer look at where it ends.
        if data.first() != Some(&b'{') || data.last() != Some(&b'}') {
            return None;
        }
        let emitted_at: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self {
            raw: raw.clone(),
            stream: Arc::clone(stream),
            data: raw.slice_ref(data),
            emitted_at_ms: emitted_at_ms(&emitted_at.into()),
            meta: None,
        })
    }

    /// The stream.
    pub fn stream(&self) -> &Arc<StreamDescriptor> {
        &self.stream
    }

    /// The record's text, cut out by what stands before and behind it but not read yet. Whoever
    /// reads it and finds that it is not one JSON object asks [`RecordLine::exact`].
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The same line, read from its beginning to its end.
    ///
    /// Fails when it is no record.
    pub fn exact(&self) -> Result<Self> {
        let broken = |reason| Error::system(format!("A record cannot be read: {reason}"));
        let mut envelope = Envelope::parse(&self.raw).map_err(broken)?;
        let head = envelope.record.take().ok_or_else(|| broken("it has no `record`".into()))?;
        Self::of(&self.raw, Arc::clone(&self.stream), &head).map_err(broken)
    }

    /// When it was emitted, in milliseconds since the epoch; 0 when the line does not say.
    pub fn emitted_at_ms(&self) -> i64 {
        self.emitted_at_ms
    }

    /// What was changed on the way: valid JSON, when there is any.
    pub fn meta(&self) -> Option<&Bytes> {
        self.meta.as_ref()
    }
}

/// A state with the very text that came in.
#[derive(Debug, Clone)]
pub struct StateLine {
    raw: Bytes,
    /// The text of the `state` object.
    state: Bytes,
    kind: StateType,
    streams: Vec<StreamDescriptor>,
    record_count: Option<u64>,
}

impl StateLine {
    /// Reads a line with a STATE message.
    pub fn parse(line: impl Into<Bytes>) -> Result<Self> {
        let line = line.into();
        let raw = line.slice_ref(line.trim_ascii());
        let parsed = Envelope::parse(&raw).and_then(|envelope| Self::of(&raw, &envelope));
        parsed.map_err(|reason| Error::system(format!("A line is not a STATE message: {reason}")))
    }

    pub(super) fn of(raw: &Bytes, envelope: &Envelope<'_>) -> Result<Self, String> {
        let state = envelope.payload("state").ok_or("it has no `state`")?;
        // By way of a tree, in which of repeated keys the last one counts.
        let tree: serde_json::Value =
            serde_json::from_str(state.get()).map_err(|error| error.to_string())?;
        let message: StateMessage =
            serde_json::from_value(tree).map_err(|error| format!("`state`: {error}"))?;
        let global = message.global.into_iter().flat_map(|global| global.stream_states);
        let entries = message.stream.into_iter().chain(global);
        let count = message.source_stats.and_then(|stats| stats.record_count);
        Ok(Self {
            state: raw.slice_ref(state.get().as_bytes()),
            raw: raw.clone(),
            kind: message.kind.unwrap_or(StateType::Legacy),
            streams: entries.map(|entry| entry.stream_descriptor).collect(),
            record_count: count.map(|count| count as u64),
        })
    }

    /// The line.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The `state` object: the entry that a state file keeps.
    pub fn state(&self) -> &Bytes {
        &self.state
    }

    /// What the state belongs to.
    pub fn kind(&self) -> &StateType {
        &self.kind
    }

    /// The streams that it names: one, or those of a GLOBAL state.
    pub fn streams(&self) -> &[StreamDescriptor] {
        &self.streams
    }

    /// The number of records that the source counted since the state before.
    pub fn record_count(&self) -> Option<u64> {
        self.record_count
    }

    /// The line with `destinationStats` put in and nothing else changed.
    pub fn with_destination_stats(&self, stats: &StateStats) -> String {
        // Counts and extra fields always serialize.
        let stats = serde_json::to_string(stats).unwrap_or_else(|_| "{}".into());
        let (start, end, text) = self.place_of_stats(&stats);
        let before = self.state.as_ptr() as usize - self.raw.as_ptr() as usize;
        let line =
            |range: std::ops::Range<usize>| String::from_utf8_lossy(&self.raw[range]).into_owned();
        format!("{}{text}{}\n", line(0..before + start), line(before + end..self.raw.len()))
    }

    /// Which bytes of the state object give way to which text.
    fn place_of_stats(&self, stats: &str) -> (usize, usize, String) {
        let members: HashMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(&self.state).unwrap_or_default();
        if let Some(old) = members.get("destinationStats") {
            let start = old.get().as_ptr() as usize - self.state.as_ptr() as usize;
            return (start, start + old.get().len(), stats.to_owned());
        }
        let brace = self.state.len().saturating_sub(1);
        let comma = if members.is_empty() { "" } else { "," };
        (brace, brace, format!(r#"{comma}"destinationStats":{stats}"#))
    }
}

/// Where the source stands with a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusLine {
    /// The stream.
    pub stream: StreamDescriptor,
    /// Where it stands.
    pub status: StreamStatusType,
}

impl StatusLine {
    pub(super) fn of(envelope: &Envelope<'_>) -> Option<Self> {
        let tree: serde_json::Value =
            serde_json::from_str(envelope.payload("trace")?.get()).ok()?;
        let status = Trace::deserialize(tree).ok()?.stream_status?;
        Some(Self { stream: status.stream_descriptor, status: status.status })
    }
}
