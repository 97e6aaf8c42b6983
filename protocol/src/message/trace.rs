//! TRACE messages.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog::StreamDescriptor;
use crate::error::FailureType;
use crate::names::{null_as_empty, string_enum};

string_enum! {
    /// What a trace is about.
    TraceType {
        /// An error.
        Error = "ERROR",
        /// How much is to come.
        Estimate = "ESTIMATE",
        /// Where a stream stands.
        StreamStatus = "STREAM_STATUS",
        /// A usage figure.
        Analytics = "ANALYTICS",
    }
}

/// The payload of a TRACE message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Which of the members below is set.
    #[serde(rename = "type")]
    pub kind: TraceType,
    /// When, in milliseconds since the epoch, with decimals.
    pub emitted_at: f64,
    /// An error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TraceError>,
    /// How much is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Where a stream stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_status: Option<StreamStatus>,
    /// A usage figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analytics: Option<Analytics>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Trace {
    fn new(kind: TraceType, emitted_at: f64) -> Self {
        Self {
            kind,
            emitted_at,
            error: None,
            estimate: None,
            stream_status: None,
            analytics: None,
            extra: Map::new(),
        }
    }

    pub(crate) fn of_error(error: TraceError, emitted_at: f64) -> Self {
        Self { error: Some(error), ..Self::new(TraceType::Error, emitted_at) }
    }

    pub(crate) fn of_status(status: StreamStatus, emitted_at: f64) -> Self {
        Self { stream_status: Some(status), ..Self::new(TraceType::StreamStatus, emitted_at) }
    }

    pub(crate) fn of_estimate(estimate: Estimate, emitted_at: f64) -> Self {
        Self { estimate: Some(estimate), ..Self::new(TraceType::Estimate, emitted_at) }
    }
}

/// An error as a trace tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceError {
    /// The sentence for the user.
    pub message: String,
    /// The detail for engineers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_message: Option<String>,
    /// Where in the program it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
    /// The kind as it was written; see [`TraceError::kind`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_type: Option<String>,
    /// The stream that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_descriptor: Option<StreamDescriptor>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl TraceError {
    /// The kind of the error, when it is one that the protocol knows.
    pub fn kind(&self) -> Option<FailureType> {
        self.failure_type.as_deref().and_then(FailureType::from_name)
    }
}

/// How much is to come. A later estimate of the same stream replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The stream's name.
    pub name: String,
    /// The stream's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether it is about the stream or about everything.
    #[serde(rename = "type")]
    pub kind: EstimateType,
    /// The number of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_estimate: Option<u64>,
    /// The number of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_estimate: Option<u64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

string_enum! {
    /// What an estimate is about.
    EstimateType {
        /// One stream.
        Stream = "STREAM",
        /// The whole sync.
        Sync = "SYNC",
    }
}

/// Where a stream stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// The stream.
    pub stream_descriptor: StreamDescriptor,
    /// Where it stands.
    pub status: StreamStatusType,
    /// Why it stands there.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<StatusReason>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

string_enum! {
    /// Where a stream stands.
    StreamStatusType {
        /// Work on it has begun.
        Started = "STARTED",
        /// It is being read, or waits for the reason given.
        Running = "RUNNING",
        /// It was read to its end.
        Complete = "COMPLETE",
        /// It failed or was broken off.
        Incomplete = "INCOMPLETE",
    }
}

/// Why a stream waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReason {
    /// `RATE_LIMITED` is the only one so far.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is known about the rate limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited: Option<RateLimited>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What is known about a rate limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RateLimited {
    /// When the quota is available again, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_reset: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A usage figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analytics {
    /// The figure's name, fixed in the program.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
