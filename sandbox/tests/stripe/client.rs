//! A client of the emulated API without HTTP between.

use sandbox::Options;
use sandbox::api::{Api, Call, Reply};
use sandbox::stripe::Stripe;
use serde_json::Value;

pub const CURRENT: &str = "2026-10-28.endive";

/// Asks one sandbox, under one key and version.
pub struct Client {
    pub stripe: Stripe,
    pub now: i64,
    pub version: &'static str,
    pub key: String,
    pub account: Option<String>,
}

impl Client {
    pub fn new(rows: u64) -> Self {
        let options = Options { rows, ..Options::default() };
        Self {
            stripe: Stripe::new(&options),
            now: options.clock_start,
            version: CURRENT,
            key: "sk_test_1".to_owned(),
            account: None,
        }
    }

    pub fn reply(&self, method: &str, url: &str) -> Reply {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.key)),
            ("stripe-version".to_owned(), self.version.to_owned()),
        ];
        headers.extend(self.account.iter().map(|a| ("stripe-account".to_owned(), a.clone())));
        self.stripe.answer(&Call {
            method,
            path,
            query,
            headers: &headers,
            body: b"",
            base: "http://127.0.0.1/stripe",
            now: self.now,
            now_ms: self.now * 1000,
            number: 1,
        })
    }

    /// Status and body.
    pub fn ask(&self, url: &str) -> (u16, Value) {
        let reply = self.reply("GET", url);
        let (status, bytes) = (reply.status, reply.body.into_bytes());
        let body = serde_json::from_slice(&bytes);
        (status, body.unwrap_or_else(|e| panic!("{url}: {e}: {}", String::from_utf8_lossy(&bytes))))
    }

    /// The body of a request that must succeed.
    pub fn get(&self, url: &str) -> Value {
        let (status, body) = self.ask(url);
        assert_eq!(status, 200, "{url}: {body}");
        body
    }

    /// The error of a request that must fail.
    pub fn error(&self, url: &str) -> (u16, Value) {
        let (status, body) = self.ask(url);
        assert!(status >= 400, "{url}: {body}");
        (status, body["error"].clone())
    }

    /// All objects of a list, page after page.
    pub fn all(&self, url: &str, limit: u32) -> Vec<Value> {
        let joint = if url.contains('?') { '&' } else { '?' };
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{url}{joint}limit={limit}{after}"));
            let data = page["data"].as_array().cloned().unwrap_or_default();
            assert!(data.len() <= limit as usize);
            found.extend(data);
            if page["has_more"] != true {
                return found;
            }
            let last =
                found.last().map(|o: &Value| o["id"].as_str().unwrap_or_default().to_owned());
            after = format!("&starting_after={}", last.unwrap_or_default());
        }
    }

    pub fn truth(&self, stream: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        let written = self.stripe.truth(stream, self.now, &mut lines);
        assert!(written.is_ok(), "{stream}: {written:?}");
        let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap_or_default()).collect()
    }

    pub fn change(&self, action: &str, body: Value) -> Value {
        self.stripe
            .change(action, &body, self.now)
            .unwrap_or_else(|e| panic!("{action} {body}: {e}"))
    }
}

/// The ids of objects.
pub fn ids(objects: &[Value]) -> Vec<&str> {
    objects.iter().filter_map(|o| o["id"].as_str()).collect()
}
