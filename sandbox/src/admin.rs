//! What a test can do to a running sandbox, by call or under `/_admin`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::Reply;
use crate::clock;
use crate::counters::Counts;
use crate::faults::Profile;
use crate::journal::Entry;
use crate::service::Shared;

/// A handle to a running server's inside; the HTTP admin paths call the same methods.
#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Requests counted so far.
    pub fn counters(&self) -> Counts {
        self.shared.counters.snapshot()
    }

    /// Sets all counters to zero and empties the journal.
    pub fn reset_counters(&self) {
        self.shared.counters.reset();
        self.shared.journal.reset();
    }

    /// The last requests, oldest first; some thousands at most.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    /// The virtual time, unix seconds.
    pub fn now(&self) -> i64 {
        self.shared.clock.now()
    }

    /// Moves the virtual clock forward and returns the new time.
    pub fn advance(&self, seconds: u32) -> i64 {
        self.shared.clock.advance(seconds)
    }

    /// Replaces the fault profile and forgets its counts.
    pub fn set_faults(&self, profile: Profile) {
        self.shared.faults.replace(profile);
    }

    /// Changes data or behaviour of an API: `action` is `create`, `mutate`, `delete`, `event` or
    /// `settings`, the keys of `body` are those of the admin path of that name (see README.md).
    pub fn change(&self, api: &str, action: &str, body: &Value) -> Result<Value, String> {
        self.mounted(api)?.change(action, body, self.now())
    }

    /// The records that a connector's stream must emit on a first full read now, as JSON lines.
    pub fn truth(&self, api: &str, stream: &str) -> Result<String, String> {
        let mut lines = Vec::new();
        let written = self.mounted(api)?.truth(stream, self.now(), &mut lines);
        written.map_err(|e| e.to_string())?;
        String::from_utf8(lines).map_err(|e| e.to_string())
    }

    /// The streams that have a truth.
    pub fn streams(&self, api: &str) -> Result<Vec<String>, String> {
        Ok(self.mounted(api)?.streams())
    }

    fn mounted(&self, api: &str) -> Result<&dyn crate::api::Api, String> {
        let mounted = self.shared.api(api).ok_or_else(|| format!("no emulated API {api:?}"))?;
        Ok(mounted.api.as_ref())
    }

    fn clock(&self) -> Value {
        let now = self.now();
        json!({"now": now, "start": self.shared.clock.start(), "date": clock::rfc3339(now)})
    }
}

/// Answers a request under `/_admin/`; `path` is what follows.
pub(crate) fn http(admin: &Admin, method: &str, path: &str, body: &[u8]) -> Reply {
    if let Some(rest) = path.strip_prefix("truth/") {
        return truth(admin, rest);
    }
    match command(admin, method, path, body) {
        Ok(value) => {
            Reply { status: 200, body: value.to_string().into_bytes().into(), ..Reply::default() }
        }
        Err((status, message)) => {
            let body = json!({"error": message}).to_string().into_bytes();
            Reply { status, body: body.into(), ..Reply::default() }
        }
    }
}

fn truth(admin: &Admin, path: &str) -> Reply {
    let lines = path
        .split_once('/')
        .and_then(|(connector, stream)| Some((connector.strip_prefix("source-")?, stream)))
        .ok_or_else(|| "the path is truth/source-API/STREAM".to_owned())
        .and_then(|(api, stream)| admin.truth(api, stream));
    match lines {
        Ok(lines) => Reply {
            status: 200,
            headers: vec![("content-type", "application/x-ndjson".to_owned())],
            body: lines.into_bytes().into(),
            ..Reply::default()
        },
        Err(message) => Reply {
            status: 404,
            body: json!({"error": message}).to_string().into_bytes().into(),
            ..Reply::default()
        },
    }
}

fn command(admin: &Admin, method: &str, path: &str, body: &[u8]) -> Result<Value, (u16, String)> {
    let bad = |message: String| (400, message);
    match (method, path) {
        ("GET", "counters") => {
            serde_json::to_value(admin.counters()).map_err(|e| (500, e.to_string()))
        }
        ("GET", "journal") => {
            serde_json::to_value(admin.journal()).map_err(|e| (500, e.to_string()))
        }
        ("POST", "reset-counters") => {
            admin.reset_counters();
            Ok(json!({}))
        }
        ("GET", "clock") => Ok(admin.clock()),
        ("POST", "advance") => {
            let seconds = parse(body).map_err(bad)?["seconds"].as_u64();
            let seconds = seconds.and_then(|s| u32::try_from(s).ok()).ok_or_else(|| {
                bad("`seconds` must be a number of seconds, 0 or more".to_owned())
            })?;
            admin.advance(seconds);
            Ok(admin.clock())
        }
        ("POST", "faults") => {
            admin.set_faults(profile(body).map_err(bad)?);
            Ok(json!({}))
        }
        ("POST", "create" | "mutate" | "delete" | "event" | "settings") => {
            let body = parse(body).map_err(bad)?;
            let api = body["api"].as_str().unwrap_or("stripe").to_owned();
            admin.change(&api, path, &body).map_err(bad)
        }
        _ => Err((404, format!("no admin path {method} /_admin/{path}"))),
    }
}

fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|e| format!("the body must be JSON: {e}"))
}

/// A profile as a JSON object with the keys of the TOML form, or as text: `none`, `rough`, TOML.
fn profile(body: &[u8]) -> Result<Profile, String> {
    let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
    match serde_json::from_str::<Value>(text) {
        Ok(Value::String(name)) => Profile::parse(&name),
        Ok(value) => serde_json::from_value(value).map_err(|e| format!("not a fault profile: {e}")),
        Err(_) => Profile::parse(text),
    }
}
