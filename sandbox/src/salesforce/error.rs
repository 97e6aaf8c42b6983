//! Salesforce's error bodies: an array of messages with codes; an object at the token endpoint.

use serde_json::json;

use crate::api::Reply;

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// HTTP status.
    pub status: u16,
    /// `errorCode`, or `error` at the token endpoint.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Error {
    /// An error of that status and code.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// 400: SOQL that cannot be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::bad("MALFORMED_QUERY", message)
    }

    /// 404: nothing there.
    pub fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// 403: a quota.
    pub fn limit(message: &str) -> Self {
        Self::new(403, "REQUEST_LIMIT_EXCEEDED", message)
    }

    /// The body of every endpoint but the token endpoint.
    pub fn body(&self) -> Vec<u8> {
        json!([{"message": self.message, "errorCode": self.code}]).to_string().into_bytes()
    }

    /// The answer.
    pub fn reply(&self) -> Reply {
        Reply { status: self.status, body: self.body().into(), ..Reply::default() }
    }

    /// The answer of the token endpoint.
    pub fn oauth_reply(&self) -> Reply {
        let body = json!({"error": self.code, "error_description": self.message});
        Reply {
            status: self.status,
            body: body.to_string().into_bytes().into(),
            ..Reply::default()
        }
    }
}
