//! State: what a source needs to go on where it stopped.
//!
//! [`InputState`] is the `--state` file in any of the shapes that orchestrators write. A
//! [`StreamState`] is the part of one stream, an object that only its source understands; the
//! views in this module read the shapes that connectors made with Airbyte's Python kit leave
//! behind, so that a connector here can take over from one of them.

mod concurrent;
mod parse;
mod partitions;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use concurrent::{ConcurrentState, SliceRun, StateSlice};
pub use partitions::{PartitionState, PerPartitionState, partition_key};

use crate::catalog::StreamDescriptor;

/// Key of the state of a full refresh that cannot be resumed.
const FULL_REFRESH_SENTINEL: &str = "__ab_no_cursor_state_message";
/// Key of the state of a resumable full refresh that is finished.
const COMPLETE_SENTINEL: &str = "__ab_full_refresh_sync_complete";

/// The state of one stream: any JSON object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamState(pub Map<String, Value>);

impl StreamState {
    /// The state that ends a full refresh that cannot be resumed; coming in, it means no state.
    pub fn full_refresh_sentinel() -> Self {
        Self::flag(FULL_REFRESH_SENTINEL)
    }

    /// The state that ends a resumable full refresh; coming in, the stream was read already.
    pub fn complete_sentinel() -> Self {
        Self::flag(COMPLETE_SENTINEL)
    }

    /// Whether this is [`Self::full_refresh_sentinel`].
    pub fn is_full_refresh_sentinel(&self) -> bool {
        self.has_flag(FULL_REFRESH_SENTINEL)
    }

    /// Whether this is [`Self::complete_sentinel`].
    pub fn is_complete_sentinel(&self) -> bool {
        self.has_flag(COMPLETE_SENTINEL)
    }

    /// The value of a simple cursor: the member `key`, when it is a string or a number.
    pub fn simple(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| value.is_string() || value.is_number())
    }

    /// The view of a state made of slices (`state_type`, `slices`), when it is one.
    pub fn concurrent(&self) -> Option<ConcurrentState<'_>> {
        ConcurrentState::of(&self.0)
    }

    /// The view of a state by partitions (`states`, `state`, `parent_state`), when it is one.
    pub fn per_partition(&self) -> Option<PerPartitionState<'_>> {
        PerPartitionState::of(&self.0)
    }

    fn flag(key: &str) -> Self {
        Self(Map::from_iter([(key.to_owned(), Value::Bool(true))]))
    }

    fn has_flag(&self, key: &str) -> bool {
        self.0.get(key) == Some(&Value::Bool(true))
    }
}

impl From<Map<String, Value>> for StreamState {
    fn from(object: Map<String, Value>) -> Self {
        Self(object)
    }
}

/// The state that a read starts from, by stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputState {
    streams: BTreeMap<StreamDescriptor, StreamState>,
    /// From shapes that know no namespaces.
    by_name: BTreeMap<String, StreamState>,
    shared: Option<Map<String, Value>>,
}

impl InputState {
    /// The state of a stream; `None` when there is none, when it is `null` and when it is `{}`.
    pub fn stream(&self, descriptor: &StreamDescriptor) -> Option<&StreamState> {
        self.streams.get(descriptor).or_else(|| self.by_name.get(&descriptor.name))
    }

    /// The part that the streams of a GLOBAL state share.
    pub fn shared(&self) -> Option<&Map<String, Value>> {
        self.shared.as_ref()
    }

    /// Whether there is no state at all.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.by_name.is_empty() && self.shared.is_none()
    }

    /// Sets the state of a stream, for tests and for runners that keep state.
    pub fn set(&mut self, descriptor: StreamDescriptor, state: StreamState) {
        self.streams.insert(descriptor, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_what_the_platform_knows() {
        let full = StreamState::full_refresh_sentinel();
        let done = StreamState::complete_sentinel();
        assert_eq!(
            serde_json::to_string(&full).unwrap(),
            r#"{"__ab_no_cursor_state_message":true}"#
        );
        assert_eq!(
            serde_json::to_string(&done).unwrap(),
            r#"{"__ab_full_refresh_sync_complete":true}"#
        );
        assert!(full.is_full_refresh_sentinel() && !full.is_complete_sentinel());
        assert!(done.is_complete_sentinel() && !done.is_full_refresh_sentinel());
    }

    #[test]
    fn a_simple_cursor_is_a_scalar() {
        let state: StreamState =
            serde_json::from_str(r#"{"created":5,"x":{},"n":null,"d":"2026"}"#).unwrap();
        assert_eq!(state.simple("created"), Some(&Value::from(5)));
        assert_eq!(state.simple("d"), Some(&Value::from("2026")));
        assert_eq!(state.simple("x"), None);
        assert_eq!(state.simple("n"), None);
        assert_eq!(state.simple("absent"), None);
    }
}
