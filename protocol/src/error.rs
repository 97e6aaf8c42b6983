//! The error that leaves a connector: what kind it is, what the user should do, what happened.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::StreamDescriptor;

/// Who can do something about an error. Orchestrators decide on retries by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureType {
    /// The user's configuration, credentials or permissions are the cause; a retry cannot help.
    #[serde(rename = "config_error")]
    Config,
    /// The network, an outage or a rate limit is the cause; a later retry may succeed.
    #[serde(rename = "transient_error")]
    Transient,
    /// The connector or the API misbehaved in a way that was not foreseen.
    #[serde(rename = "system_error")]
    System,
}

impl FailureType {
    /// The value as it stands in a TRACE ERROR message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config_error",
            Self::Transient => "transient_error",
            Self::System => "system_error",
        }
    }

    /// The kind that a TRACE ERROR's `failure_type` names, if it is one that the protocol knows.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Config, Self::Transient, Self::System].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for FailureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with a kind, a sentence for the user that says what to do, and the internal detail.
#[derive(Debug, Clone)]
pub struct Error {
    kind: FailureType,
    message: String,
    internal: Option<String>,
    stream: Option<StreamDescriptor>,
}

/// A result whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of any kind.
    pub fn new(kind: FailureType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), internal: None, stream: None }
    }

    /// An error that the user can mend in the configuration or in the account.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(FailureType::Config, message)
    }

    /// An error that a later attempt may not meet again.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureType::Transient, message)
    }

    /// A defect of the connector, or an answer it was not made for.
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(FailureType::System, message)
    }

    /// Sets the detail for engineers (request, status, body excerpt).
    pub fn with_internal(mut self, internal: impl Into<String>) -> Self {
        self.internal = Some(internal.into());
        self
    }

    /// Names the stream that failed.
    pub fn for_stream(mut self, stream: StreamDescriptor) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Puts `context` and a colon before the message.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Who can do something about it.
    pub fn kind(&self) -> FailureType {
        self.kind
    }

    /// The sentence for the user.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The detail for engineers.
    pub fn internal(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// The stream that failed, when the error belongs to one.
    pub fn stream(&self) -> Option<&StreamDescriptor> {
        self.stream.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.internal {
            Some(internal) => write!(f, " ({internal})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_prefixes_the_message_and_keeps_the_rest() {
        let error = Error::config("the key was refused")
            .with_internal("GET /v1/account -> 401")
            .context("Stripe");
        assert_eq!(error.message(), "Stripe: the key was refused");
        assert_eq!(error.kind(), FailureType::Config);
        assert_eq!(error.to_string(), "Stripe: the key was refused (GET /v1/account -> 401)");
    }

    #[test]
    fn kinds_have_the_names_of_the_protocol() {
        for kind in [FailureType::Config, FailureType::Transient, FailureType::System] {
            assert_eq!(FailureType::from_name(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(FailureType::from_name("other"), None);
    }
}
