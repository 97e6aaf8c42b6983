//! What the frame asks of an emulated API.

use std::io::{self, Write};

use serde_json::Value;

use crate::faults::Fault;

/// One request as an API sees it.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// HTTP method in capitals.
    pub method: &'a str,
    /// Path below the API's prefix, such as `/v1/charges`.
    pub path: &'a str,
    /// Query string without the question mark, still percent-encoded.
    pub query: &'a str,
    /// Headers: lower-case names and their values.
    pub headers: &'a [(String, String)],
    /// Virtual time, unix seconds.
    pub now: i64,
    /// A number unique to the request, for request ids.
    pub number: u64,
}

impl Call<'_> {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides length and date.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON unless a header says otherwise.
    pub body: Vec<u8>,
}

/// An emulated API: answers requests, can put a fault into its own words, knows its truth, and
/// takes changes from the admin paths.
pub trait Api: Send + Sync + 'static {
    /// The first path segment, such as `stripe`.
    fn prefix(&self) -> &'static str;

    /// Answers a request.
    fn answer(&self, call: &Call<'_>) -> Reply;

    /// The answer that this API gives for a fault that is an answer (not a broken connection).
    fn fault(&self, call: &Call<'_>, fault: &Fault) -> Reply;

    /// The path with ids replaced by `{id}`, for counters.
    fn route(&self, path: &str) -> String;

    /// Changes data. `action` is `create`, `mutate`, `delete` or `event`; the body's keys are the
    /// API's own. Returns what was done; the error is a sentence for the caller.
    fn change(&self, action: &str, body: &Value, now: i64) -> Result<Value, String>;

    /// Writes the records that a connector's stream must emit on a first full read, as JSON
    /// lines. An unknown stream is an error of kind `NotFound`.
    fn truth(&self, stream: &str, now: i64, out: &mut dyn Write) -> io::Result<()>;

    /// The streams that [`Api::truth`] knows.
    fn streams(&self) -> Vec<&'static str>;
}
