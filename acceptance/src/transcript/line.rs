//! One line of output: what it is, and what is wrong with it.

use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use serde_json::Value;

use super::strict;

/// One line of stdout.
#[derive(Debug, Clone)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// Its bytes, without the newline.
    pub raw: Vec<u8>,
    /// When it arrived, from the start of the process.
    pub at: Duration,
    /// What it is.
    pub body: Body,
    /// Why it is no JSON object, when it is none.
    pub syntax: Option<String>,
    /// Paths of repeated keys.
    pub repeated: Vec<String>,
    /// The whole message, for rules about the envelope; `Null` for what is no JSON.
    pub envelope: Envelope,
}

/// What the envelope of a message says.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// The value of `type`.
    pub kind: Option<String>,
    /// Members beside `type` whose value is not null.
    pub members: Vec<String>,
}

/// What a line is.
#[derive(Debug, Clone)]
pub enum Body {
    /// No message at all.
    Nothing,
    /// A RECORD.
    Record(RecordBody),
    /// A STATE.
    State(StateBody),
    /// A TRACE of type STREAM_STATUS.
    Status(StatusBody),
    /// A TRACE of type ERROR.
    Error(TraceErrorBody),
    /// Another message, or one of the above whose payload does not have the parts.
    Other {
        /// The payload that its type names; `Null` when it has none.
        payload: Value,
    },
}

/// A record.
#[derive(Debug, Clone)]
pub struct RecordBody {
    /// The stream.
    pub stream: StreamDescriptor,
    /// The record itself.
    pub data: Value,
    /// As it was written.
    pub emitted_at: Value,
    /// The rest of the payload.
    pub payload: Value,
}

/// A state.
#[derive(Debug, Clone)]
pub struct StateBody {
    /// STREAM, GLOBAL, LEGACY; `None` when it does not say.
    pub kind: Option<String>,
    /// The stream of a STREAM state.
    pub stream: Option<StreamDescriptor>,
    /// `sourceStats.recordCount`.
    pub record_count: Option<f64>,
    /// The payload.
    pub payload: Value,
}

impl StateBody {
    /// The state of a stream inside: of a STREAM state, or of one of the streams of a GLOBAL one.
    pub fn of_stream(&self, stream: &StreamDescriptor) -> Option<&Value> {
        if self.stream.as_ref() == Some(stream) {
            return self.payload.pointer("/stream/stream_state");
        }
        let states = self.payload.pointer("/global/stream_states")?.as_array()?;
        let entry = states
            .iter()
            .find(|entry| descriptor(&entry["stream_descriptor"]).as_ref() == Some(stream))?;
        entry.get("stream_state")
    }

    /// Whether it is a GLOBAL state.
    pub fn is_global(&self) -> bool {
        self.kind.as_deref() == Some("GLOBAL")
    }

    /// What is handed back to the connector: type, and stream or global, nothing else.
    pub fn handed_back(&self) -> Value {
        let mut state = serde_json::Map::new();
        for key in ["type", "stream", "global", "data"] {
            if let Some(value) = self.payload.get(key).filter(|value| !value.is_null()) {
                state.insert(key.to_owned(), value.clone());
            }
        }
        Value::Object(state)
    }
}

/// The status of a stream.
#[derive(Debug, Clone)]
pub struct StatusBody {
    /// The stream.
    pub stream: StreamDescriptor,
    /// STARTED, RUNNING, COMPLETE or INCOMPLETE.
    pub status: String,
    /// Types of its reasons, such as RATE_LIMITED.
    pub reasons: Vec<String>,
    /// The whole trace.
    pub payload: Value,
}

/// An error.
#[derive(Debug, Clone)]
pub struct TraceErrorBody {
    /// The sentence for the user.
    pub message: Option<String>,
    /// config_error, system_error or transient_error.
    pub failure_type: Option<String>,
    /// The stream that failed.
    pub stream: Option<StreamDescriptor>,
    /// The whole trace.
    pub payload: Value,
}

/// The stream of a `stream_descriptor`; an empty or null namespace is kept as the protocol has it.
pub(crate) fn descriptor(value: &Value) -> Option<StreamDescriptor> {
    let name = value.get("name")?.as_str()?.to_owned();
    let namespace = value.get("namespace").and_then(Value::as_str).map(str::to_owned);
    Some(StreamDescriptor { name, namespace })
}

/// The payload key of a message type.
pub(crate) fn payload_key(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "RECORD" => "record",
        "STATE" => "state",
        "LOG" => "log",
        "SPEC" => "spec",
        "CONNECTION_STATUS" => "connectionStatus",
        "CATALOG" => "catalog",
        "DESTINATION_CATALOG" => "destination_catalog",
        "TRACE" => "trace",
        "CONTROL" => "control",
        _ => return None,
    })
}

impl Line {
    /// Takes a line apart.
    pub fn read(number: usize, raw: Vec<u8>, at: Duration) -> Self {
        let mut line = Self {
            number,
            at,
            body: Body::Nothing,
            syntax: None,
            repeated: Vec::new(),
            envelope: Envelope::default(),
            raw,
        };
        match strict::parse(&line.raw) {
            Ok(strict) => {
                line.repeated = strict.repeated;
                match strict.value {
                    Value::Object(message) => line.take(message),
                    _ => line.syntax = Some("it is JSON, but no object".to_owned()),
                }
            }
            Err(error) => line.syntax = Some(error.to_string()),
        }
        line
    }

    fn take(&mut self, mut message: serde_json::Map<String, Value>) {
        let kind = message.get("type").and_then(Value::as_str).map(str::to_owned);
        let is_member = |(key, value): (&String, &Value)| {
            (key != "type" && !value.is_null()).then(|| key.clone())
        };
        self.envelope.members = message.iter().filter_map(is_member).collect();
        let payload = kind
            .as_deref()
            .and_then(payload_key)
            .and_then(|key| message.get_mut(key))
            .map(Value::take)
            .unwrap_or_default();
        self.body = body(kind.as_deref(), payload);
        self.envelope.kind = kind;
    }

    /// The value of `type`.
    pub fn kind(&self) -> Option<&str> {
        self.envelope.kind.as_deref()
    }

    /// The line as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}

fn body(kind: Option<&str>, payload: Value) -> Body {
    let body = match kind {
        Some("RECORD") => record(&payload),
        Some("STATE") => state(&payload),
        Some("TRACE") => trace(&payload),
        _ => None,
    };
    body.unwrap_or(Body::Other { payload })
}

fn record(payload: &Value) -> Option<Body> {
    let name = payload.get("stream")?.as_str()?.to_owned();
    let namespace = payload.get("namespace").and_then(Value::as_str).map(str::to_owned);
    let data = payload.get("data").filter(|data| data.is_object())?.clone();
    let emitted_at = payload.get("emitted_at").cloned().unwrap_or_default();
    let mut rest = payload.clone();
    if let Some(rest) = rest.as_object_mut() {
        rest.shift_remove("data");
    }
    let stream = StreamDescriptor { name, namespace };
    Some(Body::Record(RecordBody { stream, data, emitted_at, payload: rest }))
}

fn state(payload: &Value) -> Option<Body> {
    payload.as_object()?;
    let kind = payload.get("type").and_then(Value::as_str).map(str::to_owned);
    let stream = payload.pointer("/stream/stream_descriptor").and_then(descriptor);
    let record_count = payload.pointer("/sourceStats/recordCount").and_then(Value::as_f64);
    Some(Body::State(StateBody { kind, stream, record_count, payload: payload.clone() }))
}

fn trace(payload: &Value) -> Option<Body> {
    match payload.get("type")?.as_str()? {
        "STREAM_STATUS" => {
            let status = payload.get("stream_status")?;
            let stream = descriptor(status.get("stream_descriptor")?)?;
            let reasons = status.get("reasons").and_then(Value::as_array);
            let reasons = reasons
                .into_iter()
                .flatten()
                .filter_map(|reason| reason.get("type")?.as_str().map(str::to_owned))
                .collect();
            let status = status.get("status")?.as_str()?.to_owned();
            Some(Body::Status(StatusBody { stream, status, reasons, payload: payload.clone() }))
        }
        "ERROR" => {
            let error = payload.get("error")?;
            let text = |key| error.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(Body::Error(TraceErrorBody {
                message: text("message"),
                failure_type: text("failure_type"),
                stream: error.get("stream_descriptor").and_then(descriptor),
                payload: payload.clone(),
            }))
        }
        _ => None,
    }
}
