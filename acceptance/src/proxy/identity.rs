//! When two requests are the same request: one notion for faults, journal and replay.
//!
//! It is made of what is left after scrubbing, so a new access token does not make a new request.

use std::sync::LazyLock;

use hyper::header::HeaderMap;
use regex::Regex;
use url::Url;

use super::scrub::{self, PLACEHOLDER, Place, Scrubber, is_secret};

/// Headers that say how a request travels or who sends it, not what it asks for.
const INCIDENTAL: [&str; 20] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "origin",
    "pragma",
    "traceparent",
    "tracestate",
    "user-agent",
    "via",
];

/// Parameters that differ each time a request is sent.
const FRESH: [&str; 9] = [
    "_",
    "nonce",
    "oauth_nonce",
    "oauth_timestamp",
    "timestamp",
    "request_id",
    "cachebuster",
    "rnd",
    "jti",
];

/// Words in the names of parameters whose numbers may be instants.
const TIMES: [&str; 15] = [
    "time", "date", "since", "until", "start", "end", "from", "to", "after", "before", "created",
    "updated", "modified", "gt", "lt",
];

/// A request as far as it matters for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    method: String,
    host: String,
    path: String,
    /// Query and body parameters, sorted.
    parameters: Vec<(String, String)>,
    /// Headers that may matter, sorted.
    headers: Vec<(String, String)>,
    /// Who asks, sorted: other credentials may get another answer.
    credentials: Vec<(String, String)>,
}

impl Identity {
    /// The identity of a request whose URL, headers and body are scrubbed. A loopback address counts
    /// without its port, which changes from run to run.
    pub fn scrubbed(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Self {
        let (host, path, query) = match Url::parse(url) {
            Ok(url) => {
                let query = url.query().unwrap_or_default().to_owned();
                (host(&url), url.path().to_owned(), query)
            }
            Err(_) => (String::new(), url.to_owned(), String::new()),
        };
        let content_type = headers.iter().find(|(name, _)| name == "content-type");
        let mut parameters = pairs(&query, "?");
        parameters.extend(body_parameters(content_type.map(|(_, value)| value.as_str()), body));
        parameters.sort();
        let mut credentials: Vec<_> = headers
            .iter()
            .filter(|(name, _)| *name == "authorization" || is_secret(name, Place::Header))
            .map(|(name, value)| (name.clone(), without_numbers(value)))
            .collect();
        credentials.sort();
        let mut headers: Vec<_> = headers.iter().filter(|(n, _)| !incidental(n)).cloned().collect();
        headers.sort();
        Self { method: method.to_owned(), host, path, parameters, headers, credentials }
    }

    /// The identity of a request as it came in.
    pub fn of(
        scrubber: &Scrubber,
        method: &str,
        url: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let content_type = headers.get("content-type").and_then(|v| v.to_str().ok());
        let body = scrubber.body(content_type, body);
        let headers = scrubbed_headers(scrubber, headers);
        Self::scrubbed(method, &scrubber.url(url), &headers, &body)
    }

    /// A number for this very request. Parameters that are fresh each time do not count, nor do
    /// secrets.
    pub fn key(&self) -> u64 {
        let mut hash = Fnv::default();
        [&self.method, &self.host, &self.path].into_iter().for_each(|text| hash.add(text));
        for (name, value) in &self.parameters {
            if !is_fresh(name) {
                hash.add(name);
                hash.add(&without_secrets(value));
            }
        }
        for (name, value) in &self.headers {
            hash.add(name);
            hash.add(value);
        }
        hash.finish()
    }

    /// A number for this request and all that differ from it only in instants, in secrets and in
    /// parameters that are fresh each time.
    pub fn loose_key(&self) -> u64 {
        let mut hash = Fnv::default();
        [&self.method, &self.host, &self.path].into_iter().for_each(|text| hash.add(text));
        for (name, value) in &self.parameters {
            hash.add(name);
            if !is_fresh(name) {
                hash.add(&masked(name, value));
            }
        }
        hash.finish()
    }

    /// Whether the credentials are the same, as far as scrubbed ones tell: those of the
    /// configuration differ from all others.
    pub fn same_credentials(&self, other: &Self) -> bool {
        self.credentials == other.credentials
    }

    /// How many parameters and headers the two have in common.
    pub fn overlap(&self, other: &Self) -> usize {
        common(&self.parameters, &other.parameters) + common(&self.headers, &other.headers)
    }

    /// Whether method, host and path are the same.
    pub fn same_place(&self, other: &Self) -> bool {
        (&self.method, &self.host, &self.path) == (&other.method, &other.host, &other.path)
    }
}

/// Names in lower case with scrubbed values, in the order sent.
pub fn scrubbed_headers(scrubber: &Scrubber, headers: &HeaderMap) -> Vec<(String, String)> {
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), scrubber.header(name.as_str(), &text(value))))
        .collect()
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        return "localhost".to_owned();
    }
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn incidental(name: &str) -> bool {
    INCIDENTAL.contains(&name)
        || is_secret(name, Place::Header)
        || name.ends_with("-request-id")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-amz-date")
        || name == "x-client-user-agent"
        || name.ends_with("-client-telemetry")
        // The boundary of a form is made up anew each time.
        || name == "content-type"
}

fn pairs(text: &str, prefix: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (format!("{prefix}{}", scrub::decode(name)), scrub::decode(value))
        })
        .collect()
}

fn body_parameters(content_type: Option<&str>, body: &[u8]) -> Vec<(String, String)> {
    if body.is_empty() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(body);
    let kind = content_type.unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return pairs(&text, "");
    }
    if let Ok(value) = serde_json::from_slice(body) {
        let mut leaves = Vec::new();
        flatten(String::new(), &value, &mut leaves);
        return leaves;
    }
    let text = match kind.split_once("boundary=") {
        Some((_, boundary)) => text.replace(boundary.trim_matches('"'), "boundary"),
        None => text.into_owned(),
    };
    vec![("body".to_owned(), text)]
}

fn flatten(path: String, value: &serde_json::Value, leaves: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                flatten(format!("{path}/{name}"), value, leaves);
            }
        }
        serde_json::Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}/{at}"), item, leaves);
            }
        }
        serde_json::Value::String(text) => leaves.push((path, text.clone())),
        other => leaves.push((path, other.to_string())),
    }
}

fn is_fresh(name: &str) -> bool {
    let name = name.trim_start_matches('?').rsplit('/').next().unwrap_or_default();
    FRESH.iter().any(|fresh| name.eq_ignore_ascii_case(fresh))
}

/// Found secrets are numbered in the order of their coming, which is another one each time.
fn without_numbers(value: &str) -> String {
    static NUMBER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(&format!(r"({PLACEHOLDER}[A-Za-z0-9_]*?)_\d+\b")).ok());
    replace_all(&NUMBER, value, "$1")
}

fn without_secrets(value: &str) -> String {
    static SECRET: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(&format!("{PLACEHOLDER}[A-Za-z0-9_]+")).ok());
    replace_all(&SECRET, value, PLACEHOLDER)
}

/// The value with instants and secrets made equal.
fn masked(name: &str, value: &str) -> String {
    static INSTANT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"\d{4}-\d\d-\d\d(?:[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d\d:?\d\d))?)?",
        )
        .ok()
    });
    static NUMBER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b[1-4]\d{9}(?:\d{3})?(?:\.\d+)?\b").ok());
    let value = replace_all(&INSTANT, &without_secrets(value), "INSTANT");
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphabetic());
    let timely = words.any(|word| {
        TIMES
            .iter()
            .any(|time| if time.len() > 3 { word.contains(time) } else { word.starts_with(time) })
    });
    if timely { replace_all(&NUMBER, &value, "INSTANT") } else { value }
}

fn replace_all(pattern: &LazyLock<Option<Regex>>, text: &str, new: &str) -> String {
    match pattern.as_ref() {
        Some(pattern) => pattern.replace_all(text, new).into_owned(),
        None => text.to_owned(),
    }
}

/// The number of equal elements of two sorted lists.
fn common(a: &[(String, String)], b: &[(String, String)]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, count) = (i + 1, j + 1, count + 1),
        }
    }
    count
}

/// FNV-1a: the same on every machine and with every version, so that a seed means the same faults.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(url: &str) -> Identity {
        Identity::of(&Scrubber::default(), "GET", url, &HeaderMap::new(), b"")
    }

    fn post(body: &str) -> Identity {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        Identity::of(&Scrubber::default(), "POST", "https://e.com/q", &headers, body.as_bytes())
    }

    #[test]
    fn order_secrets_and_local_ports_do_not_matter() {
        assert_eq!(get("http://127.0.0.1:1/a?x=1&y=2"), get("http://localhost:2/a?y=2&x=1"));
        let (a, b) = (get("https://e.com/a?access_token=1"), get("https://e.com/a?access_token=2"));
        assert_eq!((a.key(), a.loose_key()), (b.key(), b.loose_key()));
        assert_eq!(post(r#"{"a":1,"b":[2]}"#), post(r#"{ "b": [2], "a": 1 }"#));
    }

    #[test]
    fn pages_are_different_requests() {
        for (a, b) in [
            ("page=1", "page=2"),
            ("page_token=a", "page_token=b"),
            ("id=1700000000", "id=1700000001"),
        ] {
            let url = "https://e.com/a?";
            let (a, b) = (get(&format!("{url}{a}")), get(&format!("{url}{b}")));
            assert_ne!(a.key(), b.key());
            assert_ne!(a.loose_key(), b.loose_key());
        }
        assert_ne!(post(r#"{"cursor":"a"}"#).loose_key(), post(r#"{"cursor":"b"}"#).loose_key());
        assert_ne!(get("https://e.com/a").loose_key(), get("https://e.com/b").loose_key());
    }

    #[test]
    fn instants_differ_loosely() {
        for (a, b) in [
            ("created[lt]=1700000000", "created[lt]=1750000000"),
            (
                "q=SELECT Id FROM A WHERE D > 2024-01-01T00:00:00Z",
                "q=SELECT Id FROM A WHERE D > 2025-06-07T08:09:10.5Z",
            ),
            ("start_date=2024-01-01", "start_date=2024-02-01"),
            ("_=1", "_=2"),
        ] {
            let url = "https://e.com/a?x=1&";
            let (a, b) = (get(&format!("{url}{a}")), get(&format!("{url}{b}")));
            assert_eq!(a.loose_key(), b.loose_key());
            assert_eq!(a.overlap(&b), 1);
        }
    }
}
