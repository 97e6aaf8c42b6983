//! Fault profiles: `none`, `rough`, or a TOML file.

use std::time::Duration;

use serde::Deserialize;

use super::Fault;

/// Rates of faults (each a share of requests, 0 to 1) and scripted faults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Share of requests answered 429.
    pub too_many: f64,
    /// Share of those 429 that carry `Retry-After`.
    pub retry_after_share: f64,
    /// Seconds in that header.
    pub retry_after: u32,
    /// Share of those 429 that are object locks instead of limits.
    pub lock_timeout_share: f64,
    /// Share of requests answered 400 with code `rate_limit`.
    pub rate_limit_400: f64,
    /// Share of requests answered 409.
    pub conflict: f64,
    /// Share of requests answered 500, 502, 503 or 504.
    pub server_error: f64,
    /// Share of those 5xx that say `Stripe-Should-Retry: true`.
    pub should_retry_true_share: f64,
    /// Share of those 5xx that say `Stripe-Should-Retry: false`.
    pub should_retry_false_share: f64,
    /// Share of requests whose connection is reset without an answer.
    pub reset: f64,
    /// Share of answers whose body ends before the announced length.
    pub truncate: f64,
    /// Share of answers that come `slow_ms` late.
    pub slow: f64,
    /// Milliseconds that a slow answer waits.
    pub slow_ms: u64,
    /// Share of requests answered 200 with an HTML page.
    pub html: f64,
    /// How many times an access token expires early (APIs with expiring tokens only).
    pub token_expiries: u32,
    /// Faults at chosen requests; they come before the rates.
    pub script: Vec<Script>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            too_many: 0.0,
            retry_after_share: 0.5,
            retry_after: 1,
            lock_timeout_share: 0.2,
            rate_limit_400: 0.0,
            conflict: 0.0,
            server_error: 0.0,
            should_retry_true_share: 0.0,
            should_retry_false_share: 0.0,
            reset: 0.0,
            truncate: 0.0,
            slow: 0.0,
            slow_ms: 1000,
            html: 0.0,
            token_expiries: 0,
            script: Vec::new(),
        }
    }
}

impl Profile {
    /// A bad day at the API: 5 % 429, 2 % 5xx, 1 % resets, 1 % cut bodies, one token expiry.
    pub fn rough() -> Self {
        Self {
            too_many: 0.05,
            // Locks carry no header, so that half of all 429 have one.
            lock_timeout_share: 0.1,
            retry_after_share: 0.55,
            server_error: 0.02,
            reset: 0.01,
            truncate: 0.01,
            token_expiries: 1,
            ..Self::default()
        }
    }

    /// `none`, `rough`, or the TOML text of a profile.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self::default()),
            "rough" => Ok(Self::rough()),
            toml => toml::from_str(toml).map_err(|e| format!("not a fault profile: {e}")),
        }
    }

    /// `none`, `rough`, or the path of a TOML file.
    pub fn load(name: &str) -> Result<Self, String> {
        if matches!(name, "none" | "rough") {
            return Self::parse(name);
        }
        let text = std::fs::read_to_string(name).map_err(|e| format!("cannot read {name}: {e}"))?;
        Self::parse(&text).map_err(|e| format!("{name}: {e}"))
    }

    /// Whether nothing can ever fail.
    pub fn is_none(&self) -> bool {
        let rates = self.too_many
            + self.rate_limit_400
            + self.conflict
            + self.server_error
            + self.reset
            + self.truncate
            + self.slow
            + self.html;
        rates == 0.0 && self.token_expiries == 0 && self.script.is_empty()
    }
}

/// A fault at the n-th request whose path fits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Path with the API's prefix, `*` for any text; may include `?query`.
    pub path: String,
    /// The first request it applies to, counting from 1; 1 if not given.
    #[serde(default = "one")]
    pub nth: u64,
    /// To how many requests in a row; 1 if not given, 0 for all from `nth` on.
    #[serde(default = "one")]
    pub times: u64,
    /// What happens.
    pub action: Action,
    /// HTTP status for `server_error` (500) and `reply` (200).
    pub status: Option<u16>,
    /// Seconds for `too_many`.
    pub retry_after: Option<u32>,
    /// The limiter's reason for `too_many`.
    pub reason: Option<String>,
    /// `Stripe-Should-Retry` for `server_error`.
    pub should_retry: Option<bool>,
    /// Milliseconds for `slow`.
    pub delay_ms: Option<u64>,
    /// Bytes that arrive with `truncate`; two thirds of the body if not given.
    pub bytes: Option<usize>,
    /// Body for `reply`.
    pub body: Option<String>,
}

fn one() -> u64 {
    1
}

impl Script {
    pub(super) fn applies(&self, count: u64) -> bool {
        count >= self.nth && (self.times == 0 || count < self.nth + self.times)
    }

    pub(super) fn fault(&self) -> Fault {
        match self.action {
            Action::TooMany => {
                Fault::TooMany { retry_after: self.retry_after, reason: self.reason.clone() }
            }
            Action::LockTimeout => Fault::LockTimeout,
            Action::RateLimit400 => Fault::RateLimit400,
            Action::Conflict => Fault::Conflict,
            Action::ServerError => Fault::ServerError {
                status: self.status.unwrap_or(500),
                should_retry: self.should_retry,
            },
            Action::Reset => Fault::Reset,
            Action::Truncate => Fault::Truncate(self.bytes),
            Action::Slow => Fault::Slow(Duration::from_millis(self.delay_ms.unwrap_or(1000))),
            Action::Html => Fault::Html,
            Action::ExpireToken => Fault::ExpireToken,
            Action::Reply => Fault::Reply {
                status: self.status.unwrap_or(200),
                body: self.body.clone().unwrap_or_default(),
            },
        }
    }
}

/// What a scripted fault does; the kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// 429 of a limiter.
    TooMany,
    /// 429 of an object lock.
    LockTimeout,
    /// 400 with code `rate_limit`.
    #[serde(rename = "rate_limit_400")]
    RateLimit400,
    /// 409.
    Conflict,
    /// 5xx.
    ServerError,
    /// Connection reset without an answer.
    Reset,
    /// Body shorter than announced.
    Truncate,
    /// Late answer.
    Slow,
    /// 200 with HTML.
    Html,
    /// The access token expired.
    ExpireToken,
    /// `status` with `body`.
    Reply,
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}
