//! What a run has done so far, by stream.

use std::collections::HashMap;
use std::time::Duration;

use airbyte_protocol::{StreamDescriptor, StreamStatus, StreamStatusType, TraceError};

use crate::process::Usage;
use crate::table::{self, Table};

/// Where a stream stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing was heard of it yet.
    #[default]
    Pending,
    /// It is being read.
    Running,
    /// It waits for a rate limit, until the given time (epoch milliseconds) if it is known.
    Waiting(Option<i64>),
    /// It was read to its end.
    Complete,
    /// It failed, or was broken off.
    Incomplete,
}

impl Status {
    /// The status that a message tells.
    pub fn of(message: &StreamStatus) -> Option<Self> {
        let limited = message.reasons.iter().find(|reason| reason.kind == "RATE_LIMITED");
        match (&message.status, limited) {
            (StreamStatusType::Started, _) => Some(Self::Running),
            (StreamStatusType::Running, None) => Some(Self::Running),
            (StreamStatusType::Running, Some(reason)) => Some(Self::Waiting(
                reason.rate_limited.as_ref().and_then(|limit| limit.quota_reset),
            )),
            (StreamStatusType::Complete, _) => Some(Self::Complete),
            (StreamStatusType::Incomplete, _) => Some(Self::Incomplete),
            (StreamStatusType::Other(_), _) => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pending => "not read",
            Self::Running | Self::Waiting(_) => "broken off",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
        }
    }
}

/// What was received of one stream.
#[derive(Debug, Clone)]
pub struct StreamStats {
    /// The stream.
    pub stream: StreamDescriptor,
    /// Records of this run.
    pub records: u64,
    /// The bytes of their data, one newline each.
    pub bytes: u64,
    /// States of this run.
    pub states: u64,
    /// Where it stands.
    pub status: Status,
    /// Records since the last state.
    since_state: u64,
}

impl StreamStats {
    /// Counts a record with so many bytes of data.
    pub fn count_record(&mut self, bytes: u64) {
        self.records += 1;
        self.since_state += 1;
        self.bytes += bytes;
        if matches!(self.status, Status::Pending | Status::Waiting(_)) {
            self.status = Status::Running;
        }
    }
}

/// What a run has done so far.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// The streams, in the catalog's order.
    pub streams: Vec<StreamStats>,
    /// Lines of the source that were no messages.
    pub noise: u64,
    /// The errors that source and destination told.
    pub errors: Vec<TraceError>,
    /// Time since the source was started.
    pub elapsed: Duration,
    /// What the source used.
    pub source: Usage,
    /// What the destination used, if there is one.
    pub destination: Option<Usage>,
    places: HashMap<StreamDescriptor, usize>,
}

impl Stats {
    /// Nothing done yet.
    pub fn new(streams: &[StreamDescriptor]) -> Self {
        let fresh = |stream: &StreamDescriptor| StreamStats {
            stream: stream.clone(),
            records: 0,
            bytes: 0,
            states: 0,
            status: Status::Pending,
            since_state: 0,
        };
        Self {
            streams: streams.iter().map(fresh).collect(),
            places: streams.iter().cloned().zip(0..).collect(),
            ..Self::default()
        }
    }

    /// A stream's part, if it is one of those that were asked for.
    pub fn stream(&mut self, stream: &StreamDescriptor) -> Option<&mut StreamStats> {
        let at = *self.places.get(stream)?;
        self.streams.get_mut(at)
    }

    /// A state came that counts the records before it: how many they are by our own count, if that
    /// differs. `None` for the stream stands for all streams.
    pub fn miscounted(
        &mut self,
        stream: Option<&StreamDescriptor>,
        told: Option<f64>,
    ) -> Option<u64> {
        let mut counted = 0;
        for stats in self
            .streams
            .iter_mut()
            .filter(|stats| stream.is_none_or(|stream| stats.stream == *stream))
        {
            counted += std::mem::take(&mut stats.since_state);
        }
        told.filter(|told| *told != counted as f64).map(|_| counted)
    }

    /// Records of all streams.
    pub fn records(&self) -> u64 {
        self.streams.iter().map(|stream| stream.records).sum()
    }

    /// Bytes of all streams.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.bytes).sum()
    }

    /// States of all streams.
    pub fn states(&self) -> u64 {
        self.streams.iter().map(|stream| stream.states).sum()
    }

    /// One line for the progress display.
    pub fn line(&self) -> String {
        let records = self.records();
        let done = self.streams.iter().filter(|stream| stream.status == Status::Complete).count();
        let mut line = format!(
            "{} records  {} MB  {}/s  {done} of {} streams complete",
            table::count(records),
            table::megabytes(self.bytes()),
            table::count(table::per_second(records, self.elapsed)),
            self.streams.len()
        );
        let waits: Vec<Option<i64>> = self
            .streams
            .iter()
            .filter_map(|stream| match stream.status {
                Status::Waiting(until) => Some(until),
                _ => None,
            })
            .collect();
        if !waits.is_empty() {
            line += &format!("  {} waiting for the rate limit", waits.len());
            if let Some(until) = waits.into_iter().flatten().max() {
                line += &format!(" until {}", table::utc_time(until));
            }
        }
        line
    }

    /// The table at the end of a run.
    pub fn table(&self) -> String {
        let mut table = Table::new(&["stream", "records", "MB", "states", "status"], &[0, 4]);
        for stream in &self.streams {
            table.row([
                stream.stream.to_string(),
                table::count(stream.records),
                table::megabytes(stream.bytes),
                table::count(stream.states),
                stream.status.word().to_owned(),
            ]);
        }
        table.render()
    }

    /// Totals and what the processes used, a line each.
    pub fn totals(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let mut text = format!(
            "{} records, {} MB in {seconds:.1} s, {} records/s\n{}",
            table::count(self.records()),
            table::megabytes(self.bytes()),
            table::count(table::per_second(self.records(), self.elapsed)),
            used("source", self.source)
        );
        if let Some(usage) = self.destination {
            text += &used("destination", usage);
        }
        if self.noise > 0 {
            text += &format!("{} lines of the source were no messages\n", table::count(self.noise));
        }
        text
    }
}

fn used(name: &str, usage: Usage) -> String {
    let memory = table::mebibytes(usage.peak_rss_bytes);
    format!("{name}: {:.2} s of CPU, peak memory {memory}\n", usage.cpu.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(value: serde_json::Value) -> Option<Status> {
        Status::of(&serde_json::from_value(value).unwrap())
    }

    fn stats() -> Stats {
        let mut stats =
            Stats::new(&[StreamDescriptor::new("users"), StreamDescriptor::new("orders")]);
        let users = stats.stream(&StreamDescriptor::new("users")).unwrap();
        (users.records, users.bytes, users.states, users.status) =
            (1500, 2_000_000, 3, Status::Complete);
        stats.elapsed = Duration::from_secs(2);
        stats
    }

    #[test]
    fn statuses_are_read_with_their_reason() {
        let descriptor = json!({"name": "a"});
        assert_eq!(
            status(json!({"stream_descriptor": descriptor, "status": "STARTED"})),
            Some(Status::Running)
        );
        let reasons = json!([{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": 5}}]);
        assert_eq!(
            status(
                json!({"stream_descriptor": descriptor, "status": "RUNNING", "reasons": reasons})
            ),
            Some(Status::Waiting(Some(5)))
        );
        assert_eq!(status(json!({"stream_descriptor": descriptor, "status": "NEW"})), None);
    }

    #[test]
    fn records_are_counted_from_state_to_state() {
        let (users, orders) = (StreamDescriptor::new("users"), StreamDescriptor::new("orders"));
        let mut stats = stats();
        for stream in [&users, &users, &orders] {
            stats.stream(stream).unwrap().count_record(10);
        }
        assert_eq!(stats.miscounted(Some(&users), Some(2.0)), None);
        assert_eq!(stats.miscounted(Some(&users), Some(2.0)), Some(0));
        stats.stream(&users).unwrap().count_record(10);
        assert_eq!(stats.miscounted(None, Some(2.0)), None);
        assert_eq!(stats.miscounted(None, None), None);
    }

    #[test]
    fn the_line_tells_progress_and_pauses() {
        let mut stats = stats();
        assert_eq!(stats.line(), "1,500 records  2.00 MB  750/s  1 of 2 streams complete");
        stats.stream(&StreamDescriptor::new("orders")).unwrap().status =
            Status::Waiting(Some(1_767_225_661_000));
        assert!(stats.line().ends_with("1 waiting for the rate limit until 00:01:01 UTC"));
    }

    #[test]
    fn the_table_has_a_row_per_stream() {
        let table = stats().table();
        let rows: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[2], ["users", "1,500", "2.00", "3", "complete"]);
        assert_eq!(rows[3], ["orders", "0", "0.00", "0", "not", "read"]);
    }
}
