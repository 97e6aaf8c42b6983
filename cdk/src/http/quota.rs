//! Quotas that an API tells of as it goes, such as calls left today: they are learned from
//! answers, and requests can be held back or refused by them.

use airbyte_protocol::Error;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::{Failure, Request};

/// Whether a request may be sent.
#[derive(Debug)]
pub enum Admission {
    /// Send it.
    Go,
    /// Ask again at this time; the wait is announced under this name.
    Wait(Instant, &'static str),
    /// Do not send it.
    Refuse(Box<Failure>),
}

/// Stands before every attempt of a [`super::Client`] and sees what each answer tells.
pub trait Gate: Send + Sync + 'static {
    /// Whether a request may be sent now.
    fn admit(&self, request: &Request) -> Admission;

    /// Takes note of the headers of an answer.
    fn note(&self, headers: &HeaderMap);
}

impl From<Error> for Admission {
    fn from(error: Error) -> Self {
        Admission::Refuse(Box::new(error.into()))
    }
}
