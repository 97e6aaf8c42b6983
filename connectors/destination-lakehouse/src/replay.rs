//! Recognizing what was committed already.
//!
//! A process can die after a commit and before the states of that commit have left it. The next one
//! gets the same records again. Each snapshot therefore says what its rows came from: the last state,
//! the number of records, and a fingerprint of their text. When the first records of a process and
//! the state after them are the same, they are dropped and only the state is given back.

use airbyte_protocol::{ConfiguredStream, StateLine, SyncMode};
use iceberg::spec::Snapshot;
use serde::{Deserialize, Serialize};

/// The snapshot property that holds a [`Token`].
pub const PROPERTY: &str = "tributary.replay";
/// Places inside an interval that a token remembers.
const MARKS: usize = 64;

/// How many records there were, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The number of records.
    #[serde(rename = "n")]
    pub records: u64,
    /// The sum of their hashes.
    #[serde(rename = "h")]
    pub hashes: u64,
}

impl Count {
    /// Counts a record.
    pub fn add(&mut self, data: &[u8]) {
        self.records += 1;
        self.hashes = self.hashes.wrapping_add(twox_hash::XxHash3_64::oneshot(data));
    }

    fn without(self, before: Self) -> Self {
        Self {
            records: self.records.saturating_sub(before.records),
            hashes: self.hashes.wrapping_sub(before.hashes),
        }
    }
}

/// What the rows of a commit came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The stream.
    stream: String,
    /// What was done with its records.
    mode: String,
    /// The sync, the same for all attempts of a job.
    #[serde(default)]
    sync: Option<i64>,
    /// The generation.
    #[serde(default)]
    generation: Option<i64>,
    /// A hash of the state that closed the interval.
    state: u64,
    /// All records of the interval.
    all: Count,
    /// The records before each state inside it: a reader that got some of the states goes on there.
    #[serde(default)]
    marks: Vec<Count>,
}

/// What came since the last commit.
#[derive(Debug, Default)]
pub struct Interval {
    /// The records.
    pub count: Count,
    marks: Vec<Count>,
    last_state: Option<u64>,
}

impl Interval {
    /// Notes a state.
    pub fn mark(&mut self, state: &StateLine) {
        self.last_state = Some(hash(state));
        self.marks.push(self.count);
        if self.marks.len() > MARKS {
            self.marks.remove(0);
        }
    }

    /// The token of a commit at this place, if a state is the last thing that came.
    pub fn token(&self, stream: &ConfiguredStream) -> Option<Token> {
        let is_closed = self.marks.last() == Some(&self.count);
        Some(Token {
            stream: stream.descriptor().to_string(),
            mode: stream.destination_sync_mode.as_str().to_owned(),
            sync: stream.sync_id,
            generation: stream.generation_id,
            state: self.last_state.filter(|_| is_closed)?,
            all: self.count,
            marks: self.marks.clone(),
        })
    }
}

/// Whether a state means the same, whatever the platform has added to it.
fn hash(state: &StateLine) -> u64 {
    let mut tree: serde_json::Value = serde_json::from_slice(state.state()).unwrap_or_default();
    if let Some(members) = tree.as_object_mut() {
        members.retain(|key, _| matches!(key.as_str(), "type" | "stream" | "global" | "data"));
    }
    sort(&mut tree);
    twox_hash::XxHash3_64::oneshot(tree.to_string().as_bytes())
}

fn sort(tree: &mut serde_json::Value) {
    match tree {
        serde_json::Value::Object(members) => {
            members.sort_keys();
            members.values_mut().for_each(sort);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}

impl Token {
    /// The token of the snapshot that a sync follows, if a replay of it can be told from new records
    /// that happen to be the same.
    ///
    /// Within a job it can. Without the id of the job only where states mean progress: a full
    /// refresh that brings the same rows each day is not a replay.
    pub fn of(snapshot: Option<&Snapshot>, stream: &ConfiguredStream) -> Option<Self> {
        let text = snapshot?.summary().additional_properties.get(PROPERTY)?;
        let token: Self = serde_json::from_str(text).ok()?;
        let is_same = token.stream == stream.descriptor().to_string()
            && token.mode == stream.destination_sync_mode.as_str()
            && token.sync == stream.sync_id
            && token.generation == stream.generation_id;
        let is_progress = stream.sync_id.is_some() || stream.sync_mode == SyncMode::Incremental;
        (is_same && is_progress).then_some(token)
    }

    /// The property's value.
    pub fn text(&self) -> String {
        // Numbers and strings always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the records of the interval, up to the state that just came, are those of the token
    /// or its last ones.
    pub fn matches(&self, interval: &Interval) -> bool {
        if interval.last_state != Some(self.state) || interval.count.records == 0 {
            return false;
        }
        let starts = std::iter::once(Count::default()).chain(self.marks.iter().copied());
        starts.into_iter().any(|start| self.all.without(start) == interval.count)
    }

    /// Whether so many records came that they cannot be those of the token.
    pub fn is_passed(&self, interval: &Interval) -> bool {
        interval.count.records > self.all.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cursor: u32) -> StateLine {
        StateLine::parse(format!(
            r#"{{"type":"STATE","state":{{"type":"STREAM","id":{cursor},"stream":{{"stream_descriptor":{{"name":"a"}},"stream_state":{{"c":{cursor}}}}}}}}}"#
        ))
        .unwrap()
    }

    fn stream() -> ConfiguredStream {
        let text = r#"{"streams":[{"stream":{"name":"a","json_schema":{}},"sync_mode":"incremental","destination_sync_mode":"append"}]}"#;
        airbyte_protocol::ConfiguredCatalog::parse(text).unwrap().streams.remove(0)
    }

    fn interval(records: &[&str], states: &[(usize, u32)]) -> Interval {
        let mut interval = Interval::default();
        for at in 0..=records.len() {
            for (_, cursor) in states.iter().filter(|(after, _)| *after == at) {
                interval.mark(&state(*cursor));
            }
            if let Some(record) = records.get(at) {
                interval.count.add(record.as_bytes());
            }
        }
        interval
    }

    #[test]
    fn the_same_records_up_to_the_same_state_are_a_replay() {
        let token = interval(&["1", "2", "3"], &[(1, 1), (3, 3)]).token(&stream()).unwrap();
        assert!(token.matches(&interval(&["1", "2", "3"], &[(1, 1), (3, 3)])));
        // The reader got the first state before the process died.
        assert!(token.matches(&interval(&["2", "3"], &[(2, 3)])));
        // Other boundaries inside are no matter.
        assert!(token.matches(&interval(&["1", "2", "3"], &[(2, 2), (3, 3)])));
        for other in [
            interval(&["1", "2", "4"], &[(3, 3)]),
            interval(&["1", "2", "3"], &[(3, 4)]),
            interval(&["3"], &[(1, 3)]),
            interval(&[], &[(0, 3)]),
        ] {
            assert!(!token.matches(&other), "{other:?}");
        }
    }

    #[test]
    fn an_interval_that_no_state_closes_has_no_token() {
        assert!(interval(&["1", "2"], &[(1, 1)]).token(&stream()).is_none());
        let text = interval(&["1"], &[(1, 1)]).token(&stream()).unwrap().text();
        assert!(serde_json::from_str::<Token>(&text).is_ok() && text.len() < 300, "{text}");
    }
}
