//! Attempts at one request.

use std::time::Duration;

use airbyte_protocol::Error;
use tokio::time::Instant;

use super::{Incoming, Request, Response};
use crate::auth::TokenVersion;

/// An answer that begins with success, and what is needed to judge what is in it.
pub(super) struct Sent {
    pub incoming: Incoming,
    pub version: TokenVersion,
    pub at: Instant,
}

/// How often one request has been tried.
pub(super) struct Tries {
    pub failed: u32,
    pub renewals: u32,
    /// Web pages that came in place of data.
    pub html: u32,
    pub started: Instant,
    /// Time spent waiting for budgets, which is not the request's fault.
    pub held_up: Duration,
}

impl Tries {
    pub fn new() -> Self {
        Tries { failed: 0, renewals: 0, html: 0, started: Instant::now(), held_up: Duration::ZERO }
    }

    /// Time spent on the attempts and the waits between them.
    pub fn spent(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.held_up)
    }
}

/// The error of a body that is not what was asked for.
pub(super) fn broken_body(request: &Request, response: Option<&Response>, why: &str) -> Error {
    let html = response.is_some_and(|r| r.body.trim_ascii_start().starts_with(b"<"));
    let text = if html {
        format!(
            "{} answered with a web page instead of data. Check the API address in the configuration, and whether a proxy or firewall stands in between.",
            request.url.origin().ascii_serialization()
        )
    } else {
        format!(
            "{} gave an answer that broke off or cannot be read.",
            request.url.origin().ascii_serialization()
        )
    };
    let excerpt = response.map(Response::excerpt).unwrap_or_default();
    let error = if html { Error::config(text) } else { Error::transient(text) };
    error.with_internal(format!("{}: {why} {excerpt}", request.display()))
}
