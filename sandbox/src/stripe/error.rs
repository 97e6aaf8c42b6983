//! Stripe's error bodies.

use serde_json::{Map, Value, json};

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// HTTP status.
    pub status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl Error {
    /// An error of type `invalid_request_error`.
    pub fn invalid(status: u16, message: impl Into<String>) -> Self {
        let (kind, message) = ("invalid_request_error", message.into());
        Self { status, kind, code: None, param: None, message }
    }

    /// An error of type `api_error`.
    pub fn api(status: u16, message: impl Into<String>) -> Self {
        Self { kind: "api_error", ..Self::invalid(status, message) }
    }

    /// With a code.
    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// With the name of the parameter at fault.
    pub fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// 404 or 400: an id that names nothing.
    pub fn missing(status: u16, object: &str, id: &str, param: &str) -> Self {
        let object = object.rsplit('.').next().unwrap_or(object);
        Self::invalid(status, format!("No such {object}: '{id}'"))
            .code("resource_missing")
            .param(param)
    }

    /// 404: no such endpoint.
    pub fn unknown_url(method: &str, path: &str) -> Self {
        Self::invalid(404, format!("Unrecognized request URL ({method}: {path})."))
    }

    /// 400: a parameter that the endpoint does not take.
    pub fn unknown_param(name: &str) -> Self {
        Self::invalid(400, format!("Received unknown parameter: {name}"))
            .code("parameter_unknown")
            .param(name)
    }

    /// 400: a value that is no number, or out of range.
    pub fn bad_integer(name: &str, message: impl Into<String>) -> Self {
        Self::invalid(400, message).code("parameter_invalid_integer").param(name)
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        let mut error = Map::new();
        if let Some(code) = self.code {
            error.insert("code".to_owned(), code.into());
            error.insert(
                "doc_url".to_owned(),
                format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")).into(),
            );
        }
        error.insert("message".to_owned(), self.message.as_str().into());
        if let Some(param) = &self.param {
            error.insert("param".to_owned(), param.as_str().into());
        }
        error.insert("type".to_owned(), Value::from(self.kind));
        json!({ "error": error }).to_string().into_bytes()
    }
}
