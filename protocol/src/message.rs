//! The messages of the protocol, for programs that read what a connector printed.
//!
//! Connectors themselves write through [`crate::Output`]. Reading is tolerant: unknown fields are
//! kept in `extra`, unknown enumeration values as `Other`, `null` is absent, and of a repeated key
//! the last one counts. The data of a record stays the text that it was.

mod control;
mod envelope;
mod record;
mod state;
mod trace;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use control::{Control, ControlType};
pub(crate) use envelope::{Envelope, RecordHead};
pub use record::{Record, RecordChange, RecordMeta, emitted_at_ms};
pub use state::{GlobalState, StateMessage, StateStats, StateType, StreamStateEntry};
pub use trace::{
    Analytics, Estimate, EstimateType, RateLimited, StatusReason, StreamStatus, StreamStatusType,
    Trace, TraceError, TraceType,
};

use crate::catalog::{Catalog, DestinationCatalog};
use crate::error::{Error, Result};
use crate::names::string_enum;
use crate::spec::ConnectorSpecification;

/// One line of a connector's output, or of a destination's input.
#[derive(Debug, Clone)]
pub enum Message {
    /// A record of a stream.
    Record(Record),
    /// A checkpoint.
    State(Box<StateMessage>),
    /// Something for the job's log.
    Log(Log),
    /// What the connector can be configured with.
    Spec(Box<ConnectorSpecification>),
    /// The answer of `check`.
    ConnectionStatus(ConnectionStatus),
    /// The streams of a source.
    Catalog(Catalog),
    /// The objects of a destination.
    DestinationCatalog(DestinationCatalog),
    /// An error, an estimate, a stream's status or a usage figure.
    Trace(Box<Trace>),
    /// A change that the connector made to its own configuration.
    Control(Control),
    /// A message of a type that this version does not know.
    Other {
        /// Its `type`.
        kind: String,
        /// The whole message.
        raw: Box<RawValue>,
    },
}

/// The payload of a LOG message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// How much it matters.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// Where it came from, for errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

string_enum! {
    /// How much a log line matters.
    LogLevel {
        /// The process cannot go on.
        Fatal = "FATAL",
        /// Something failed.
        Error = "ERROR",
        /// Something that a person may want to look at.
        Warn = "WARN",
        /// The course of things.
        Info = "INFO",
        /// For those who look for a fault.
        Debug = "DEBUG",
        /// Everything.
        Trace = "TRACE",
    }
}

/// The payload of a CONNECTION_STATUS message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Whether the configuration works.
    pub status: ConnectionStatusType,
    /// Why not, or a note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

string_enum! {
    /// Whether a configuration works.
    ConnectionStatusType {
        /// It does.
        Succeeded = "SUCCEEDED",
        /// It does not, and the user can mend it.
        Failed = "FAILED",
    }
}

impl Message {
    /// Reads one line. The error, of kind system, says what is wrong with it.
    pub fn parse(line: &str) -> Result<Self> {
        let envelope =
            Envelope::parse(line.as_bytes()).map_err(|reason| malformed(line, reason))?;
        Self::of(line, envelope).map_err(|reason| malformed(line, reason))
    }

    fn of(line: &str, envelope: Envelope<'_>) -> Result<Self, String> {
        let kind = envelope.kind.as_deref().ok_or("it has no `type`")?;
        Ok(match kind {
            "RECORD" => Self::Record(Record::of(envelope.record.ok_or("it has no `record`")?)?),
            "STATE" => Self::State(Box::new(payload(&envelope, "state")?)),
            "LOG" => Self::Log(payload(&envelope, "log")?),
            "SPEC" => Self::Spec(Box::new(payload(&envelope, "spec")?)),
            "CONNECTION_STATUS" => Self::ConnectionStatus(payload(&envelope, "connectionStatus")?),
            "CATALOG" => Self::Catalog(payload(&envelope, "catalog")?),
            "DESTINATION_CATALOG" => {
                Self::DestinationCatalog(payload(&envelope, "destination_catalog")?)
            }
            "TRACE" => Self::Trace(Box::new(payload(&envelope, "trace")?)),
            "CONTROL" => Self::Control(payload(&envelope, "control")?),
            other => Self::Other {
                kind: other.to_owned(),
                raw: serde_json::from_str(line).map_err(|error| error.to_string())?,
            },
        })
    }

    /// The value of `type`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Record(_) => "RECORD",
            Self::State(_) => "STATE",
            Self::Log(_) => "LOG",
            Self::Spec(_) => "SPEC",
            Self::ConnectionStatus(_) => "CONNECTION_STATUS",
            Self::Catalog(_) => "CATALOG",
            Self::DestinationCatalog(_) => "DESTINATION_CATALOG",
            Self::Trace(_) => "TRACE",
            Self::Control(_) => "CONTROL",
            Self::Other { kind, .. } => kind,
        }
    }

    /// The message as one line of JSON, without the newline.
    pub fn to_line(&self) -> String {
        match self {
            Self::Record(record) => line("RECORD", "record", record),
            Self::State(state) => line("STATE", "state", state),
            Self::Log(log) => line("LOG", "log", log),
            Self::Spec(spec) => line("SPEC", "spec", spec),
            Self::ConnectionStatus(status) => line("CONNECTION_STATUS", "connectionStatus", status),
            Self::Catalog(catalog) => line("CATALOG", "catalog", catalog),
            Self::DestinationCatalog(catalog) => {
                line("DESTINATION_CATALOG", "destination_catalog", catalog)
            }
            Self::Trace(trace) => line("TRACE", "trace", trace),
            Self::Control(control) => line("CONTROL", "control", control),
            Self::Other { raw, .. } => raw.get().replace(['\n', '\r'], ""),
        }
    }
}

/// Renders an envelope with one payload.
pub(crate) fn line(kind: &str, key: &str, payload: &impl Serialize) -> String {
    // Nothing that is rendered here can fail to serialize: maps have string keys throughout.
    let payload = serde_json::to_string(payload).unwrap_or_else(|_| "null".into());
    format!(r#"{{"type":"{kind}","{key}":{payload}}}"#)
}

/// Reads a payload by way of a tree, in which of repeated keys the last one counts.
fn payload<T: DeserializeOwned>(envelope: &Envelope<'_>, key: &str) -> Result<T, String> {
    let raw = envelope.payload(key).ok_or_else(|| format!("it has no `{key}`"))?;
    let tree: Value = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    serde_json::from_value(tree).map_err(|error| format!("`{key}`: {error}"))
}

fn malformed(line: &str, reason: String) -> Error {
    let shown: String = line.chars().take(200).collect();
    Error::system(format!("A line is not a message of the protocol: {reason}")).with_internal(shown)
}

#[cfg(test)]
mod tests;
