//! What the frame asks of an emulated API.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;

use crate::faults::Fault;

/// One request as an API sees it.
#[derive(Clone, Debug, Default)]
pub struct Call<'a> {
    /// HTTP method in capitals.
    pub method: &'a str,
    /// Path below the API's prefix, such as `/v1/charges`.
    pub path: &'a str,
    /// Query string without the question mark, still percent-encoded.
    pub query: &'a str,
    /// Headers: lower-case names and their values.
    pub headers: &'a [(String, String)],
    /// The body; empty if there is none.
    pub body: &'a [u8],
    /// Scheme, host and prefix by which the client reached the API, such as
    /// `http://127.0.0.1:8700/stripe`.
    pub base: &'a str,
    /// Virtual time, unix seconds.
    pub now: i64,
    /// Virtual time, unix milliseconds.
    pub now_ms: i64,
    /// A number unique to the request, for request ids.
    pub number: u64,
}

impl Call<'_> {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The body of an answer: made at once, or part by part while it is sent.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Its parts in order; sent chunked, since the length is not known before.
    Parts(Box<dyn Iterator<Item = Vec<u8>> + Send>),
}

impl Body {
    /// The whole body; parts are put together.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Parts(parts) => parts.flatten().collect(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::Parts(_) => f.write_str("Parts"),
        }
    }
}

/// One answer.
#[derive(Debug, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides length and date.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON unless a header says otherwise.
    pub body: Body,
    /// How long the API takes to answer, real time. None for at once.
    pub delay: Option<Delay>,
}

/// An answer that takes its time.
pub struct Delay {
    /// How long.
    pub time: Duration,
    /// Dropped when the time is over or the client has gone: a place among concurrent calls.
    pub place: Box<dyn Send>,
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").field("time", &self.time).finish_non_exhaustive()
    }
}

/// An emulated API: answers requests, can put a fault into its own words, knows its truth, and
/// takes changes from the admin paths.
pub trait Api: Send + Sync + 'static {
    /// The first path segment, such as `stripe`.
    fn prefix(&self) -> &'static str;

    /// First path segments that lead to this API without its prefix, because its answers link to
    /// paths from the root of the host.
    fn roots(&self) -> &'static [&'static str] {
        &[]
    }

    /// Answers a request.
    fn answer(&self, call: &Call<'_>) -> Reply;

    /// The answer that this API gives for a fault that is an answer (not a broken connection).
    fn fault(&self, call: &Call<'_>, fault: &Fault) -> Reply;

    /// The path with ids replaced by `{id}`, for counters.
    fn route(&self, path: &str) -> String;

    /// Changes data or behaviour. `action` is `create`, `mutate`, `delete`, `event` or `settings`;
    /// the body's keys are the API's own. Returns what was done; the error is a sentence for the
    /// caller.
    fn change(&self, action: &str, body: &Value, now: i64) -> Result<Value, String>;

    /// Writes the records that a connector's stream must emit on a first full read, as JSON
    /// lines. An unknown stream is an error of kind `NotFound`.
    fn truth(&self, stream: &str, now: i64, out: &mut dyn Write) -> io::Result<()>;

    /// The streams that [`Api::truth`] knows.
    fn streams(&self) -> Vec<String>;
}
