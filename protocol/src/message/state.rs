//! STATE messages.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog::StreamDescriptor;
use crate::names::{null_as_empty, string_enum};
use crate::state::StreamState;

string_enum! {
    /// What a state belongs to.
    StateType {
        /// One stream.
        Stream = "STREAM",
        /// All streams of a source with one shared position.
        Global = "GLOBAL",
        /// The form before there were stream states.
        Legacy = "LEGACY",
    }
}

/// The payload of a STATE message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StateMessage {
    /// What it belongs to; absent in very old states, which are LEGACY.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StateType>,
    /// The state of a stream, with type STREAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamStateEntry>,
    /// The state of all streams, with type GLOBAL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<GlobalState>,
    /// The state by stream names, with type LEGACY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What the source counted.
    #[serde(rename = "sourceStats", default, skip_serializing_if = "Option::is_none")]
    pub source_stats: Option<StateStats>,
    /// What the destination counted.
    #[serde(rename = "destinationStats", default, skip_serializing_if = "Option::is_none")]
    pub destination_stats: Option<StateStats>,
    /// Other fields, such as the `id` that the platform adds.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The state of one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStateEntry {
    /// The stream.
    pub stream_descriptor: StreamDescriptor,
    /// Its state; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_state: Option<StreamState>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The state of all streams together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GlobalState {
    /// What they share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_state: Option<Value>,
    /// What each has of its own.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub stream_states: Vec<StreamStateEntry>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Counts of records since the state before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StateStats {
    /// Records that were emitted, or written.
    #[serde(rename = "recordCount", default, skip_serializing_if = "Option::is_none")]
    pub record_count: Option<f64>,
    /// Records that were not taken.
    #[serde(rename = "rejectedRecordCount", default, skip_serializing_if = "Option::is_none")]
    pub rejected_record_count: Option<f64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl StateStats {
    /// Counts of records that were taken and of records that were not.
    pub fn new(records: u64, rejected: u64) -> Self {
        Self {
            record_count: Some(records as f64),
            rejected_record_count: (rejected > 0).then_some(rejected as f64),
            extra: Map::new(),
        }
    }
}
